/* How a function reports failure: it returns an enum np_status, fills a struct np_error where it
 * knows the most, and cleans up after itself. Enum, names, texts and what the pipeline does about
 * each code come from the one list below. */
#ifndef NP_STATUS_H
#define NP_STATUS_H

/*    name,     what the pipeline does, text */
#define NP_STATUS_MAP(X)                                                                                     \
    X(OK,       "go on",                "ok")                                                                \
    X(ENOMEM,   "stop",                 "out of memory")                                                     \
    X(ECONFIG,  "stop, exit 1",         "a mistake in the pipeline file, an option or a schema")             \
    X(EDATA,    "dead letter",          "a message that does not fit its schema")                            \
    X(ERETRY,   "try again",            "the other side is unreachable, busy or full")                       \
    X(EFENCED,  "leave the partition",  "another worker owns this now")                                      \
    X(EDEVICE,  "go on by CPU",         "a GPU call failed")                                                 \
    X(ESTOP,    "stop, exit 2",         "a state that must not be passed over")                              \
    X(EEND,     "finish",               "no more input")

enum np_status {
#define X(name, action, text) NP_##name,
    NP_STATUS_MAP(X)
#undef X
};

/** What went wrong. text is complete in itself: it names the thing, the place and what is allowed. */
struct np_error {
    enum np_status status;
    char text[1024];
};

/** "EDATA" */
const char *np_status_name(enum np_status status);
/** "a message that does not fit its schema" */
const char *np_status_text(enum np_status status);

/** Fills err (may be NULL) with a printf-style text and returns status: `return np_fail(err, NP_EDATA, ..)`. */
enum np_status np_fail(struct np_error *err, enum np_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
