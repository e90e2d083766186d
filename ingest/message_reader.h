/* From a message's bytes to found values, whatever its form: JSON, Avro by the registry's wire format (byte
 * 0, schema id in 4 bytes, big-endian, body), or bare Avro bodies by one schema file. Plans are kept by
 * schema id. */
#ifndef NP_MESSAGE_READER_H
#define NP_MESSAGE_READER_H

#include "ingest/extract.h"
#include "ingest/schema_registry.h"

struct np_message_reader;

struct np_message_form {
    enum np_format format;
    const char *schema_file; /* Avro; or NULL */
    struct np_schema_registry
        *registry;      /* Avro: messages are in its wire format, and a schema file is the reader's
                         * schema (aliases, defaults); NULL: the file's schema wrote all messages */
    const char *record; /* Avro: short name of the record that is expected, or NULL: any */
};

/**
 * @param form, wants  borrowed for the life of the reader
 * @param out    given, np_message_reader_close(). Threads: one reader each
 * @return NP_OK; NP_ECONFIG: the schema file or a path cannot be used; NP_ENOMEM
 */
enum np_status np_message_reader_open(struct np_message_reader **out, const struct np_message_form *form,
                                      const struct np_want *wants, size_t n_wants, struct np_error *err);
/**
 * @param reason  one word after NP_EDATA: "empty", "decode" or "schema"
 * @return NP_OK; NP_EDATA; NP_EEND: a record of another name; NP_ERETRY: the registry; NP_ENOMEM
 */
enum np_status np_message_read(struct np_message_reader *reader, const struct np_message *message,
                               struct np_extract *extract, const char **reason, struct np_error *err);
/** @return whether messages of that writer schema could be read: NP_OK; NP_ECONFIG; NP_ENOMEM */
enum np_status np_message_reader_fits(const struct np_message_reader *reader,
                                      const struct np_avro_schema *writer, struct np_error *err);
/** Frees what the last message left in the extract. */
void np_message_release(struct np_extract *extract);
void np_message_reader_close(struct np_message_reader *reader); /* accepts NULL */

#endif
