/* The configuration of a COMTRADE record: IEEE C37.111-2013, clause 7. */
#include <ctype.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ingest/comtrade.h"
#include "pipeline/record.h"

#define MAX_FIELDS 16

/* The text being read, a line at a time. */
struct cursor {
    char *at;
    const char *name;
    int line;
    char *fields[MAX_FIELDS];
    size_t n;
    struct np_error *err;
};

__attribute__((format(printf, 2, 3))) static enum np_status bad(struct cursor *cursor, const char *format,
                                                                ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return np_fail(cursor->err, NP_EDATA, "%s:%d: %s", cursor->name, cursor->line, text);
}

/* Splits the next line into fields. @return false at the end of the text */
static bool next_line(struct cursor *cursor)
{
    char *end, *line = cursor->at;

    if (!line || *line == '\0')
        return false;
    end = strchr(line, '\n');
    cursor->at = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    line[strcspn(line, "\r")] = '\0';
    cursor->line++;
    cursor->n = np_fields_split(line, ',', false, cursor->fields, MAX_FIELDS);
    return true;
}

/* The next line must be there and have so many fields. */
static enum np_status need_line(struct cursor *cursor, size_t n, const char *what)
{
    if (!next_line(cursor)) {
        cursor->line++;
        return bad(cursor, "the configuration ends before %s", what);
    }
    if (cursor->n < n)
        return bad(cursor, "%zu fields where %s needs %zu", cursor->n, what, n);
    return NP_OK;
}

/* A field that the line may lack is "". */
static const char *field(const struct cursor *cursor, size_t i)
{
    return i < cursor->n && i < MAX_FIELDS ? cursor->fields[i] : "";
}

static enum np_status number(struct cursor *cursor, size_t i, const char *what, double *value)
{
    const char *text = field(cursor, i);

    return np_double_parse(text, value) ? NP_OK : bad(cursor, "%s \"%.40s\" is not a number", what, text);
}

/* --- line 1 and 2 ------------------------------------------------------------------------------- */

/* Station, device, revision. A station's name may hold commas: the last fields are told from the right. */
static enum np_status parse_station(struct np_file *file, struct np_comtrade *record, struct cursor *cursor)
{
    enum np_status st = need_line(cursor, 1, "the station's name");
    const char *last, *device = "";
    char *station, *joined;
    size_t n, named;
    double year = 0;

    if (st != NP_OK)
        return st;
    n = cursor->n < MAX_FIELDS ? cursor->n : MAX_FIELDS;
    last = cursor->fields[n - 1];
    record->revision = 1991;
    named = n;
    if (n >= 2 && strlen(last) == 4 && np_double_parse(last, &year) && year >= 1990 && year < 2100) {
        record->revision = year >= 2013 ? 2013 : year > 1991 ? 1999 : 1991;
        named--;
    }
    if (named >= 2)
        device = cursor->fields[--named];
    for (size_t i = 1; i < named; i++) /* the commas inside are put back */
        *strchr(cursor->fields[i - 1], '\0') = ',';
    station = cursor->fields[0];
    if (asprintf(&joined, "%s%s%s", named ? station : "", named && *station && *device ? "/" : "", device) ==
        -1)
        return np_fail(cursor->err, NP_ENOMEM, "%s: out of memory", cursor->name);
    st = *joined ? np_file_utf8(file, joined, &file->sensor, cursor->err) : NP_OK;
    free(joined);
    return st;
}

/* "8,4A,4D" */
static enum np_status count_of(struct cursor *cursor, size_t i, char letter, size_t *count)
{
    const char *text = field(cursor, i);
    char *end;
    unsigned long value = strtoul(text, &end, 10);

    if (!isdigit((unsigned char)*text) || toupper((unsigned char)*end) != letter || end[1] != '\0')
        return bad(cursor, "\"%.40s\" where a number of channels such as 4%c is wanted", text, letter);
    if (value > NP_COMTRADE_MAX_CHANNELS)
        return bad(cursor, "%lu channels, at most %d are allowed", value, NP_COMTRADE_MAX_CHANNELS);
    *count = value;
    return NP_OK;
}

static enum np_status parse_counts(struct np_file *file, struct np_comtrade *record, struct cursor *cursor)
{
    enum np_status st = need_line(cursor, 3, "the numbers of channels");
    double total;

    if (st == NP_OK)
        st = number(cursor, 0, "the number of channels", &total);
    if (st == NP_OK)
        st = count_of(cursor, 1, 'A', &record->n_analog);
    if (st == NP_OK)
        st = count_of(cursor, 2, 'D', &record->n_digital);
    if (st != NP_OK)
        return st;
    if (total != (double)(record->n_analog + record->n_digital))
        return bad(cursor, "%g channels in all, but %zu analog and %zu digital ones", total, record->n_analog,
                   record->n_digital);
    if (record->n_analog + (file->options.digital ? record->n_digital : 0) == 0)
        return bad(cursor, "no analog channels%s",
                   record->n_digital ? "; the digital ones are left out unless asked for" : "");
    record->analog = calloc(record->n_analog ? record->n_analog : 1, sizeof *record->analog);
    if (!record->analog)
        return np_fail(cursor->err, NP_ENOMEM, "%s: out of memory", cursor->name);
    return np_file_channels(file, record->n_analog + (file->options.digital ? record->n_digital : 0),
                            cursor->err);
}

/* --- channels ------------------------------------------------------------------------------------- */

/* The number in the file must be there: it tells a lost line. */
static enum np_status parse_name(struct np_file *file, struct cursor *cursor, size_t channel, char letter,
                                 size_t i, const char *unit)
{
    char name[32];
    double index;
    enum np_status st = number(cursor, 0, "the channel's number", &index);

    snprintf(name, sizeof name, "%c%zu", letter, i + 1);
    if (st == NP_OK)
        st = np_file_channel(file, channel, *field(cursor, 1) ? field(cursor, 1) : name, unit,
                             field(cursor, 2), cursor->err);
    return st;
}

/* An,ch_id,ph,ccbm,uu,a,b,skew,min,max[,primary,secondary,PS] */
static enum np_status parse_analog(struct np_file *file, struct np_comtrade *record, struct cursor *cursor,
                                   size_t i)
{
    enum np_status st = need_line(cursor, 10, "an analog channel");
    struct np_comtrade_channel *to = &record->analog[i];
    struct np_file_channel *channel = &file->channels[i];
    double skew_us = 0;

    if (st == NP_OK)
        st = parse_name(file, cursor, i, 'A', i, field(cursor, 4));
    if (st == NP_OK)
        st = number(cursor, 5, "the factor a", &to->a);
    if (st == NP_OK)
        st = number(cursor, 6, "the offset b", &to->b);
    if (st == NP_OK && *field(cursor, 7))
        st = number(cursor, 7, "the skew", &skew_us);
    if (st == NP_OK)
        st = number(cursor, 8, "the lowest value", &to->min);
    if (st == NP_OK)
        st = number(cursor, 9, "the highest value", &to->max);
    if (st == NP_OK && *field(cursor, 10))
        st = number(cursor, 10, "the primary factor", &channel->primary);
    if (st == NP_OK && *field(cursor, 11))
        st = number(cursor, 11, "the secondary factor", &channel->secondary);
    if (st != NP_OK)
        return st;
    if (fabs(skew_us) > 1e9)
        return bad(cursor, "a skew of %g us; at most 1e9 is allowed", skew_us);
    to->skew_ns = (int64_t)llround(skew_us * 1000);
    channel->recorded = (char)toupper((unsigned char)*field(cursor, 12));
    if (channel->recorded != 'P' && channel->recorded != 'S')
        channel->recorded = 0;
    return NP_OK;
}

static enum np_status parse_channels(struct np_file *file, struct np_comtrade *record, struct cursor *cursor)
{
    enum np_status st = NP_OK;

    for (size_t i = 0; i < record->n_analog && st == NP_OK; i++)
        st = parse_analog(file, record, cursor, i);
    for (size_t i = 0; i < record->n_digital && st == NP_OK; i++) {
        st = need_line(cursor, 2, "a digital channel"); /* Dn,ch_id[,ph,ccbm],y */
        if (st == NP_OK && file->options.digital) {
            st = parse_name(file, cursor, record->n_analog + i, 'D', i, "");
            file->channels[record->n_analog + i].digital = true;
        }
    }
    return st == NP_OK ? np_file_unique(file, cursor->err) : st;
}

/* --- rates and times -------------------------------------------------------------------------------- */

static enum np_status parse_rates(struct np_comtrade *record, struct cursor *cursor)
{
    enum np_status st = need_line(cursor, 1, "the line frequency");
    double frequency, n, end;
    bool stamps = false;

    if (st == NP_OK && *field(cursor, 0))
        st = number(cursor, 0, "the line frequency", &frequency);
    if (st == NP_OK)
        st = need_line(cursor, 1, "the number of sampling rates");
    if (st == NP_OK)
        st = number(cursor, 0, "the number of sampling rates", &n);
    if (st != NP_OK)
        return st;
    if (n < 0 || n > NP_COMTRADE_MAX_RATES || n != floor(n))
        return bad(cursor, "%g sampling rates; 0 to %d are allowed", n, NP_COMTRADE_MAX_RATES);
    record->n_rates = n > 0 ? (size_t)n : 1;
    for (size_t i = 0; i < record->n_rates; i++) {
        struct np_comtrade_rate *rate;

        /* grown as lines come: a damaged count must not take the memory */
        if ((i & (i - 1)) == 0) {
            struct np_comtrade_rate *more = realloc(record->rates, (i ? 2 * i : 1) * sizeof *more);

            if (!more)
                return np_fail(cursor->err, NP_ENOMEM, "%s: out of memory", cursor->name);
            record->rates = more;
        }
        rate = &record->rates[i];
        st = need_line(cursor, 2, "a sampling rate");
        if (st == NP_OK)
            st = number(cursor, 0, "the sampling rate", &rate->rate_hz);
        if (st == NP_OK)
            st = number(cursor, 1, "the last sample of the rate", &end);
        if (st != NP_OK)
            return st;
        if (rate->rate_hz < 0 || rate->rate_hz > 1e12)
            return bad(cursor, "a sampling rate of %g Hz; 0 (none) to 1e12 are allowed", rate->rate_hz);
        if (!(end >= (i ? (double)rate[-1].end + 1 : 1)) || end > 1e15 || end != floor(end))
            return bad(cursor, "the rate's last sample %.40s does not lie behind the one before",
                       field(cursor, 1));
        rate->end = (uint64_t)end;
        stamps |= rate->rate_hz == 0;
    }
    record->n_samples = record->rates[record->n_rates - 1].end;
    if (n == 0 || stamps)
        record->n_rates = 0;
    return NP_OK;
}

/* "25/05/2017" and "08:13:16.587000" -> UTC [ns], zone not yet applied. @param digits  of the fraction */
static enum np_status parse_time(const struct np_comtrade *record, struct cursor *cursor, const char *what,
                                 int64_t *ns, size_t *digits)
{
    int day, month, year, used = 0;
    const char *date, *time, *point;
    char text[64];
    enum np_status st = need_line(cursor, 2, what);

    if (st != NP_OK)
        return st;
    date = field(cursor, 0);
    time = field(cursor, 1);
    if (sscanf(date, "%2d/%2d/%4d%n", &day, &month, &year, &used) != 3 || date[used] != '\0' ||
        strlen(time) > 30)
        return bad(cursor, "%s \"%.40s,%.40s\" is no date and time (dd/mm/yyyy,hh:mm:ss.ssssss)", what, date,
                   time);
    if (record->revision == 1991 ? day <= 12 : month > 12) {
        int swap = day;

        day = month;
        month = swap;
    }
    year += year < 70 ? 2000 : year < 100 ? 1900 : 0;
    /* some devices write "8:13:16" */
    snprintf(text, sizeof text, "%04d-%02d-%02d %s%s", year, month, day, time[0] && time[1] == ':' ? "0" : "",
             time);
    if (strpbrk(time, "Zz+-") || !np_time_parse(text, ns))
        return bad(cursor, "%s \"%.40s,%.40s\" is no date and time (dd/mm/yyyy,hh:mm:ss.ssssss)", what, date,
                   time);
    point = strchr(time, '.');
    *digits = point ? strlen(point + 1) : 0;
    return NP_OK;
}

static enum np_status parse_times(struct np_comtrade *record, struct cursor *cursor)
{
    size_t digits = 0, more = 0;
    enum np_status st =
        parse_time(record, cursor, "the time of the first sample", &record->start_ns, &digits);

    if (st == NP_OK)
        st = parse_time(record, cursor, "the time of the trigger", &record->trigger_ns, &more);
    record->stamp_ns = digits > 6 || more > 6 ? 1 : 1000;
    if (st == NP_OK && record->trigger_ns == 0) /* 01/01/1970: a device that has none */
        record->trigger_ns = NP_NULL_LONG;
    return st;
}

static enum np_status parse_type(struct np_comtrade *record, struct cursor *cursor)
{
    static const char *const names[] = {"ASCII", "BINARY", "BINARY32", "FLOAT32"};
    enum np_status st = need_line(cursor, 1, "the type of the data");

    if (st != NP_OK)
        return st;
    for (int i = 0; i < 4; i++)
        if (strcasecmp(field(cursor, 0), names[i]) == 0) {
            record->type = (enum np_comtrade_type)i;
            return NP_OK;
        }
    return bad(cursor, "data of type \"%.40s\"; ASCII, BINARY, BINARY32 and FLOAT32 can be read",
               field(cursor, 0));
}

/* "-5h30", "+2", "0": local time minus UTC; "x" or nothing: not told. */
static enum np_status parse_time_code(struct cursor *cursor, int64_t *offset_ns)
{
    const char *text = field(cursor, 0);
    int sign = *text == '-' ? -1 : 1, hours = 0, minutes = 0, used = 0;

    if (*text == '\0' || strcasecmp(text, "x") == 0)
        return NP_OK;
    text += *text == '-' || *text == '+';
    if (sscanf(text, "%2dh%2d%n", &hours, &minutes, &used) != 2 || text[used] != '\0') {
        minutes = 0;
        if (sscanf(text, "%2d%n", &hours, &used) != 1 ||
            (text[used] != '\0' && strcasecmp(text + used, "h") != 0))
            return bad(cursor, "the time code \"%.40s\" is no offset such as -5h30, 2 or 0",
                       field(cursor, 0));
    }
    *offset_ns = sign * (hours * 60 + minutes) * INT64_C(60000000000);
    return NP_OK;
}

/* timemult (1999), the time code (2013); all may be missing at the end of real files. */
static enum np_status parse_rest(struct np_file *file, struct np_comtrade *record, struct cursor *cursor)
{
    int64_t offset_ns = file->options.utc_offset_ns;
    double multiplier = 1;
    enum np_status st = NP_OK;

    if (next_line(cursor) && *field(cursor, 0))
        st = number(cursor, 0, "the time multiplier", &multiplier);
    if (st == NP_OK && !(multiplier > 0 && multiplier < 1e15))
        st = bad(cursor, "a time multiplier of %g; it must be above 0", multiplier);
    if (st == NP_OK && record->revision == 2013 && next_line(cursor))
        st = parse_time_code(cursor, &offset_ns);
    if (st != NP_OK)
        return st;
    record->stamp_ns *= multiplier;
    if (__builtin_sub_overflow(record->start_ns, offset_ns, &record->start_ns) ||
        (record->trigger_ns != NP_NULL_LONG &&
         __builtin_sub_overflow(record->trigger_ns, offset_ns, &record->trigger_ns)))
        return bad(cursor, "a time outside of the years 1678 to 2261");
    return NP_OK;
}

enum np_status np_comtrade_parse(struct np_file *file, struct np_comtrade *record, char *text,
                                 const char *name, int lines_before, struct np_error *err)
{
    struct cursor cursor = {.at = text, .name = name, .line = lines_before, .err = err};
    enum np_status st;

    text[strcspn(text, "\x1a")] = '\0';
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
        cursor.at += 3;
    st = parse_station(file, record, &cursor);
    if (st == NP_OK)
        st = parse_counts(file, record, &cursor);
    if (st == NP_OK)
        st = parse_channels(file, record, &cursor);
    if (st == NP_OK)
        st = parse_rates(record, &cursor);
    if (st == NP_OK)
        st = parse_times(record, &cursor);
    if (st == NP_OK)
        st = parse_type(record, &cursor);
    if (st == NP_OK)
        st = parse_rest(file, record, &cursor);
    return st;
}
