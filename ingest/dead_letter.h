/* The headers of a dead letter: the message's own, then where it came from and why it is here. Key and value
 * of a dead letter are the message's, unchanged, so that it can be sent again from there. */
#ifndef NP_DEAD_LETTER_H
#define NP_DEAD_LETTER_H

#include "pipeline/broker.h"

/** np_source.dead_letter. @param message  with native: a message of librdkafka, or NULL */
int np_dead_letter_headers(const struct np_message *message, const char *reason, const char *detail,
                           struct np_bytes *headers);

#endif
