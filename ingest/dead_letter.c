#include "ingest/dead_letter.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

static int put_text(struct np_bytes *headers, const char *name, const char *text)
{
    return np_header_put(headers, name, text, strlen(text));
}

static int put_number(struct np_bytes *headers, const char *name, int64_t number)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)number);
    return put_text(headers, name, text);
}

static int put_own(const struct np_message *message, struct np_bytes *headers)
{
    rd_kafka_headers_t *own = NULL;
    const void *value;
    const char *name;
    size_t n;

    if (!message->native || rd_kafka_message_headers(message->native, &own) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    for (size_t i = 0; rd_kafka_header_get_all(own, i, &name, &value, &n) == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
        if (np_header_put(headers, name, value, n))
            return -1;
    return 0;
}

int np_dead_letter_headers(const struct np_message *message, const char *reason, const char *detail,
                           struct np_bytes *headers)
{
    return put_own(message, headers) || put_text(headers, "np.topic", message->topic) ||
                   put_number(headers, "np.partition", message->partition) ||
                   put_number(headers, "np.offset", message->offset) ||
                   put_number(headers, "np.timestamp", message->timestamp_ms) ||
                   put_text(headers, "np.reason", reason) || put_text(headers, "np.detail", detail)
               ? -1
               : 0;
}
