#include "sinks/jsonl.h"

#include <errno.h>
#include <string.h>

static enum np_status write_record(struct np_output *output, const struct np_record *record, struct np_error *err)
{
    struct np_jsonl *jsonl = (struct np_jsonl *)output;

    if (!record->step->topic && !record->step->table)
        return NP_OK;
    jsonl->line.n = 0;
    if (np_record_json(record, &jsonl->line) != 0 || np_bytes_append(&jsonl->line, "\n", 1) != 0)
        return np_fail(err, NP_ENOMEM, "step %s: a line of JSON", record->step->name);
    if (fwrite(jsonl->line.data, 1, jsonl->line.n, jsonl->file) != jsonl->line.n)
        return np_fail(err, NP_ESTOP, "writing results: %s", strerror(errno));
    jsonl->n_records++;
    return NP_OK;
}

void np_jsonl_open(struct np_jsonl *jsonl, FILE *file)
{
    *jsonl = (struct np_jsonl){.output = {.record = write_record}, .file = file};
}

enum np_status np_jsonl_close(struct np_jsonl *jsonl, struct np_error *err)
{
    np_bytes_free(&jsonl->line);
    return fflush(jsonl->file) == 0 ? NP_OK : np_fail(err, NP_ESTOP, "writing results: %s", strerror(errno));
}
