/* The compiler's own state and the part of it that emits operations. Private to
 * avro_plan.c and avro_emit.c. */
#ifndef NP_AVRO_COMPILER_H
#define NP_AVRO_COMPILER_H

#include "ingest/avro_program.h"

#define NP_AVRO_NO_ENTRY UINT32_MAX

struct np_avro_compiler {
    struct np_avro_plan *plan;
    const struct np_want *wants;
    struct np_path *paths; /* [n_wants] */
    char **names;          /* [n_wants] the paths' texts, in the plan's memory */
    char (*why)[256];      /* [n_wants] why a path leads to nothing that fits */
    uint32_t *entry;       /* by type index: where its skipping subroutine starts */
    bool *open, *needed;   /* by type index: being skipped inline; a subroutine is called */
    const struct np_avro_schema *writer;
    uint32_t label;        /* a jump leads here: the operation before must not grow */
    const char *field;     /* the field at hand, for messages */
    bool *wrong;           /* [n_wants] a path leads to something of another kind */
    enum np_status status; /* NP_OK or NP_ENOMEM */
};

/** Memory that lives as long as the plan; taken. NULL sets the status. */
void *np_avro_keep(struct np_avro_compiler *c, void *memory);
/** @return zeroed, the plan's; NULL without memory */
uint32_t *np_avro_table(struct np_avro_compiler *c, size_t n);
/** Appends an operation. @return its place; 0 without memory (then the plan is given up) */
uint32_t np_avro_add(struct np_avro_compiler *c, struct np_avro_op op);
/** A place that jumps may lead to. */
uint32_t np_avro_here(struct np_avro_compiler *c);
/** Opens a union: the branches follow, each from table[i] = np_avro_here() to an NP_OP_JUMP. */
uint32_t *np_avro_union_open(struct np_avro_compiler *c, const struct np_avro_type *type);
/** Lets the jumps at the branches' ends lead here. */
void np_avro_union_end(struct np_avro_compiler *c, const uint32_t *table, size_t n);
/** Skips a value. depth: 0 */
void np_avro_skip(struct np_avro_compiler *c, const struct np_avro_type *type, int depth);
/** Adds the subroutines that skipping asked for. Last of all. */
void np_avro_subroutines(struct np_avro_compiler *c);

#endif
