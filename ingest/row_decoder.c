/* Result messages back to rows. The paths are the names that np_record_avro() and np_record_json() write. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ingest/decoder.h"
#include "ingest/decoder_parts.h"
#include "ingest/message_reader.h"

struct row_decoder {
    struct np_row_decoder base;
    const struct np_step *step;
    struct np_message_form form;
    char *record; /* name of the step's Avro record */
    size_t n;     /* columns: those of every record, then the step's */
    const struct np_column **columns;
    struct np_want *wants; /* [n], then the step's name (JSON) */
    size_t n_wants;
    struct np_message_reader *reader;
    struct np_extract extract;
    struct np_blocks blocks; /* slab of arrays, and texts */
};

/* JSON says start and end where the columns say start_time and end_time. */
static const char *path_of(const struct np_column *column, enum np_format format, bool own)
{
    if (!own && strcmp(column->name, "flags") == 0)
        return "flags[]";
    if (!own && format == NP_FORMAT_JSON && column->type == NP_COL_TIME)
        return column->name[0] == 's' ? "start" : "end";
    return column->name;
}

static enum np_want_kind kind_of(enum np_column_type type)
{
    static const enum np_want_kind kinds[] = {
        [NP_COL_DOUBLE] = NP_WANT_NUMBER, [NP_COL_FLOAT] = NP_WANT_NUMBER, [NP_COL_LONG] = NP_WANT_INTEGER,
        [NP_COL_TIME] = NP_WANT_SCALAR,   [NP_COL_TEXT] = NP_WANT_TEXT,    [NP_COL_FLOATS] = NP_WANT_SAMPLES,
    };

    return kinds[type];
}

static enum np_status list_columns(struct row_decoder *d, struct np_error *err)
{
    size_t n_fixed = 0;

    while (np_record_columns[n_fixed].name)
        n_fixed++;
    d->n = n_fixed + d->step->columns.n;
    d->columns = calloc(d->n, sizeof *d->columns);
    d->wants = calloc(d->n + 1, sizeof *d->wants);
    if (!d->columns || !d->wants)
        return np_fail(err, NP_ENOMEM, "row decoder");
    for (size_t i = 0; i < d->n; i++) {
        bool own = i >= n_fixed;
        const struct np_column *column = own ? &d->step->columns.items[i - n_fixed] : &np_record_columns[i];

        d->columns[i] = column;
        d->wants[i] = (struct np_want){path_of(column, d->form.format, own), kind_of(column->type), !own};
        if (strcmp(d->wants[i].path, "flags[]") == 0)
            d->wants[i].kind = NP_WANT_TEXT;
    }
    d->n_wants = d->n;
    if (d->form.format == NP_FORMAT_JSON)
        d->wants[d->n_wants++] = (struct np_want){"step", NP_WANT_TEXT, true};
    return NP_OK;
}

static bool is_flags(const struct np_column *column)
{
    return column >= np_record_columns && column->type == NP_COL_LONG && strcmp(column->name, "flags") == 0;
}

static int64_t read_flags(const struct np_found_list *list)
{
    uint32_t flags = 0;

    for (size_t i = 0; i < list->n; i++)
        if (list->items[i].type == NP_FOUND_TEXT)
            flags |= np_flag_find(list->items[i].text, list->items[i].n);
    return flags;
}

static enum np_status read_value(struct row_decoder *d, size_t column, struct np_value *value,
                                 struct np_error *err)
{
    const struct np_found *found = &d->extract.lists[column].items[0];

    *value = (struct np_value){0};
    switch (d->columns[column]->type) {
    case NP_COL_DOUBLE:
    case NP_COL_FLOAT:
        value->f64 = found->type == NP_FOUND_NUMBER ? found->number : NAN;
        break;
    case NP_COL_LONG:
        value->i64 = found->type == NP_FOUND_INTEGER ? found->integer : NP_NULL_LONG;
        break;
    case NP_COL_TIME:
        value->i64 = NP_NULL_LONG;
        if (found->type != NP_FOUND_NOTHING && !np_found_time(found, found->logical ? 0 : 1, &value->i64))
            return np_fail(err, NP_EDATA, "column %s is no time", d->columns[column]->name);
        break;
    case NP_COL_TEXT:
        if (found->type == NP_FOUND_TEXT)
            value->text = np_blocks_string(&d->blocks, found->text, found->n);
        break;
    case NP_COL_FLOATS:
        if (found->type == NP_FOUND_SAMPLES) {
            static const float none;

            value->floats = found->n ? d->blocks.samples + found->first : &none;
            value->n = found->n;
        }
        break;
    }
    return NP_OK;
}

static enum np_status decode(struct np_row_decoder *decoder, const struct np_message *message,
                             struct np_value *values, struct np_error *err)
{
    struct row_decoder *d = (struct row_decoder *)decoder;
    enum np_status status;
    const char *reason;
    size_t strings = 0;

    np_blocks_clear(&d->blocks);
    status = np_message_read(d->reader, message, &d->extract, &reason, err);
    if (status != NP_OK)
        return status;
    if (d->form.format == NP_FORMAT_JSON) {
        const struct np_found *step = &d->extract.lists[d->n].items[0];

        if (step->type != NP_FOUND_TEXT)
            return np_fail(err, NP_EDATA, "JSON: field step is missing");
        if (step->n != strlen(d->step->name) || memcmp(step->text, d->step->name, step->n) != 0)
            return np_fail(err, NP_EEND, "a record of step %.*s", step->n > 200 ? 200 : (int)step->n,
                           step->text);
    }
    for (size_t i = 0; i < d->n; i++)
        if (d->columns[i]->type == NP_COL_TEXT)
            strings += d->extract.lists[i].items[0].n + 1;
    if (!np_blocks_strings(&d->blocks, strings))
        return np_fail(err, NP_ENOMEM, "row decoder: texts");
    for (size_t i = 0; i < d->n && status == NP_OK; i++) {
        if (is_flags(d->columns[i]))
            values[i] = (struct np_value){.i64 = read_flags(&d->extract.lists[i])};
        else if (d->wants[i].required && d->extract.lists[i].items[0].type == NP_FOUND_NOTHING)
            status = np_fail(err, NP_EDATA, "field %s is missing", d->wants[i].path);
        else
            status = read_value(d, i, &values[i], err);
    }
    return status;
}

static void close_decoder(struct np_row_decoder *decoder)
{
    struct row_decoder *d = (struct row_decoder *)decoder;

    if (!d)
        return;
    np_message_release(&d->extract);
    np_message_reader_close(d->reader);
    np_extract_close(&d->extract);
    np_blocks_free(&d->blocks);
    free(d->columns);
    free(d->wants);
    free(d->record);
    free(d);
}

enum np_status np_row_decoder_open(struct np_row_decoder **out, const struct np_pipeline *pipeline,
                                   const struct np_step *step, struct np_schema_registry *registry,
                                   struct np_error *err)
{
    struct row_decoder *d = calloc(1, sizeof *d);
    struct np_bytes name = {0};
    enum np_status status;

    if (!d)
        return np_fail(err, NP_ENOMEM, "row decoder");
    d->base = (struct np_row_decoder){.decode = decode, .close = close_decoder};
    d->step = step;
    if (np_record_avro_name(pipeline, step, &name) != 0 || np_bytes_append(&name, "", 1) != 0)
        status = np_fail(err, NP_ENOMEM, "row decoder");
    else
        status = NP_OK;
    d->record = (char *)name.data;
    d->form =
        (struct np_message_form){.format = step->topic_format, .registry = registry, .record = d->record};
    if (status == NP_OK)
        status = list_columns(d, err);
    if (status == NP_OK)
        status = np_extract_open(&d->extract, d->n_wants, err);
    d->extract.blocks = &d->blocks;
    if (status == NP_OK)
        status = np_message_reader_open(&d->reader, &d->form, d->wants, d->n_wants, err);
    if (status == NP_OK)
        *out = &d->base;
    else
        close_decoder(&d->base);
    return status;
}
