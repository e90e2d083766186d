"""replay: a pipeline over recordings with no server; what it finds in them is known."""

import json
import math
import struct
import wave

PIPELINE = """
pipeline: recorded
kafka: {{ brokers: "localhost:1" }}
inputs:
  waves:
    topic: grid.waves
    format: json
    sensor: meter
    time: {{ field: t0, unit: ns }}
    {rate}
    channels: {channels}
    unit: {unit}
    lateness: {lateness}
    idle: 1h
steps:
{steps}
outputs:
  topics: {{ {topics} }}
dead_letters: {{ topic: dead }}
"""


def pipeline(folder, steps, channels="{ U1: U1 }", rate="rate: rate_hz", unit="V", lateness="0s"):
    path = folder / "pipeline.yaml"
    names = [line.split(":")[0].strip() for line in steps.strip().splitlines()]
    topics = ", ".join(f"{name}: {{ topic: out.{name}, format: json }}" for name in names)
    path.write_text(PIPELINE.format(rate=rate, channels=channels, unit=unit, lateness=lateness, steps=steps.rstrip(),
                                    topics=topics))
    return path


def results(netzpuls, *args):
    done = netzpuls("replay", *args)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_sine_from_a_wav_file_has_the_levels_and_the_peak_that_arithmetic_says(netzpuls, tmp_path):
    rate, hz, amplitude = 4000, 50.3, 0.5
    with wave.open(str(tmp_path / "sine.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(b"".join(struct.pack("<h", round(32768 * amplitude * math.sin(2 * math.pi * hz * i / rate)))
                                 for i in range(2 * rate)))
    path = pipeline(tmp_path, """
  levels:  { operator: rms, input: waves, window: 1s }
  spectra: { operator: spectrum, input: waves, window: 1s, function: hann, peaks: 1 }
""", channels="{ U1: ch1 }")
    found = results(netzpuls, path, "--input", f"waves={tmp_path / 'sine.wav'}", "--sensor", "m", "--start",
                    "2026-03-01T12:00:00Z")
    levels = [r for r in found if r["step"] == "levels"]
    spectra = [r for r in found if r["step"] == "spectra"]
    assert [r["start"] for r in levels] == ["2026-03-01T12:00:00.000000000Z", "2026-03-01T12:00:01.000000000Z"]
    for r in levels:
        assert (r["sensor"], r["channel"], r["coverage"], r["flags"], r["n"]) == ("m", "U1", 1, [], rate)
        assert abs(r["rms"] - amplitude / math.sqrt(2)) < 0.005
    for r in spectra:
        assert abs(r["peak_hz"][0] - hz) < 1e-2, r
        assert abs(r["peak_amplitude"][0] - amplitude / math.sqrt(2)) < 1e-3, r


def test_the_dip_of_the_110_kv_record_is_found_by_limit(netzpuls, data, tmp_path):
    path = pipeline(tmp_path, """
  levels: { operator: rms, input: waves, window: 20ms }
  dip:    { operator: limit, input: levels.rms, below: 6.35, clear: 7, severity: critical }
""", channels='{ Ua: "Ua_1СШ-110_ТН_110кВ" }', unit="kV")
    found = results(netzpuls, path, "--input", f"waves={data / 'comtrade_real_relays' / '2.cfg'}", "--code-page", "CP1251")
    start = found[0]["start"]
    raised, cleared = [r for r in found if r["step"] == "dip"]

    def seconds(text):
        return float(text[17:-1]) + 60 * float(text[14:16])
    # the deepest cycle of the record, 1.588 s after its start; a tenth of 110 kV / sqrt(3) is 6.35 kV
    assert (raised["state"], cleared["state"]) == ("raised", "cleared")
    assert abs(seconds(raised["since"]) - seconds(start) - 1.588) < 0.02, (start, raised)
    assert 0.05 < cleared["extreme"] / 63.5 < 0.09, cleared


def test_the_iberian_interruption_is_found_by_limit(netzpuls, data, tmp_path):
    path = pipeline(tmp_path, """
  interruption: { operator: limit, input: waves, below: 1382, severity: critical }
""", channels="{ L1: AnalyzerL1PhaseVoltage, L2: AnalyzerL2PhaseVoltage, L3: AnalyzerL3PhaseVoltage }", rate="")
    found = results(netzpuls, path, "--input", f"waves={data / 'iberia_2025_04_28' / 'toledo_data.csv'}")
    raised = [r for r in found if r["state"] == "raised"]
    first = {r["channel"]: r["since"] for r in reversed(raised)}
    assert first == {c: "2025-04-28T12:33:24.000000000Z" for c in ("L1", "L2", "L3")}, raised


def test_the_same_recording_gives_the_same_bytes_with_the_reference_close_by(netzpuls, data, tmp_path):
    path = pipeline(tmp_path, """
  levels:  { operator: rms, input: waves, window: 200ms }
  spectra: { operator: spectrum, input: waves, window: 1s, bands: { low: 0..40, mains: 40..60 }, peaks: 3 }
  odd:     { operator: anomaly, input: levels.rms, alarms: 1 per hour, warm_up: 100 }
""", channels="{ U1: ch1 }")
    recording = f"waves={data / 'enf_whu_mains_400hz' / '001_ref.wav'}"
    runs = [netzpuls("replay", path, "--input", recording).stdout for _ in range(2)]
    assert runs[0] == runs[1] and runs[0].count("\n") > 2500
    reference = results(netzpuls, path, "--input", recording, "--kernels", "reference")
    for a, b in zip((json.loads(line) for line in runs[0].splitlines()), reference):
        if a["step"] == "spectra" and a["coverage"] == 1:
            assert abs(a["band_mains"] - b["band_mains"]) <= 1e-5 * b["band_mains"]
            assert abs(a["peak_hz"][0] - b["peak_hz"][0]) < 1e-4


def test_what_is_wrong_with_the_call_is_said_in_one_line(netzpuls, tmp_path):
    path = pipeline(tmp_path, "  levels: { operator: rms, input: waves, window: 1s }\n")
    (tmp_path / "bad.csv").write_text("time,U1\n2026-03-01T12:00:00Z,1\n2026-03-01T12:00:01Z,one\n")
    (tmp_path / "other.csv").write_text("time,I1\n2026-03-01T12:00:00Z,1\n2026-03-01T12:00:01Z,2\n")
    for args, expected in [
        (["--input", "waves"], "give NAME=FILE"),
        (["--input", "wave=x.csv"], "did you mean waves?"),
        (["--input", "waves=missing.csv"], "missing.csv"),
        (["--input", f"waves={tmp_path / 'bad.csv'}"], "bad.csv:3"),
        (["--input", f"waves={tmp_path / 'other.csv'}"], "holds none of the channels of input waves"),
        (["--input", "waves=x.csv", "--kernels", "cpuu"], "--kernels cpuu: no such variant"),
        ([], "--input is missing"),
    ]:
        done = netzpuls("replay", path, *args)
        assert done.returncode == 1, (args, done.stderr)
        assert expected in done.stderr and done.stderr.count("\n") == 1, (args, done.stderr)
        assert done.stdout == ""
