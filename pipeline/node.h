/* A YAML file as a tree in which every node knows its line and column, and the mistakes found in it. */
#ifndef NP_NODE_H
#define NP_NODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "pipeline/status.h"

#define NP_NODE_FILE_LIMIT ((size_t)256 << 10)   /* [bytes] */

enum np_node_kind { NP_NODE_SCALAR, NP_NODE_MAP, NP_NODE_LIST };

struct np_node {
    enum np_node_kind kind;
    int line, column;            /* from 1 */
    char *text;                  /* scalar: its text, ${NAME} replaced from the environment; else NULL */
    char *written;               /* scalar: as it stands in the file, if ${NAME} was replaced; else NULL */
    bool quoted;                 /* scalar: written in quotes */
    size_t n;                    /* map, list: entries */
    struct np_node **keys;       /* map: scalars, in file order */
    struct np_node **items;      /* map, list: values */
};

/** All mistakes of one file, in the order found. */
struct np_mistakes {
    const char *file;            /* borrowed; the name printed before each mistake */
    bool without_secrets;        /* set by the caller: no server will be asked, secrets need not be there */
    bool out_of_memory;          /* a mistake could not be kept */
    size_t n;
    struct np_mistake {
        int line, column;
        char *text;
    } *items;
};

/**
 * Reads a YAML file. Syntax errors, duplicate keys, anchors, aliases, tags and unset ${NAME} become mistakes.
 * ${NAME} works in values, not in keys; "$${" stands for "${".
 * @param path  a file
 * @return given, free with np_node_free(); NULL if the file cannot be used at all (a mistake says why)
 */
struct np_node *np_node_read_file(const char *path, struct np_mistakes *mistakes);
/** The same from memory. */
struct np_node *np_node_read_text(const char *text, size_t length, struct np_mistakes *mistakes);
void np_node_free(struct np_node *node);

/** @return the value under key, or NULL (also when map is NULL or no map); borrowed */
const struct np_node *np_node_get(const struct np_node *map, const char *key);
/** @return a scalar's text for messages: as written, as a value of the environment may be a secret */
const char *np_node_shown(const struct np_node *scalar);

/** Adds "file:line:column: text"; node may be NULL (then line 1, column 1). */
void np_mistake_add(struct np_mistakes *mistakes, const struct np_node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** @return true if anything is wrong */
bool np_mistakes_any(const struct np_mistakes *mistakes);
/** Sorted by place, one a line. */
void np_mistakes_print(const struct np_mistakes *mistakes, FILE *out);
void np_mistakes_free(struct np_mistakes *mistakes);

/**
 * The entry of names[0..n) nearest to text by edit distance, for "did you mean".
 * @return borrowed, or NULL when none is near (distance over a third of the length, at
 *         least 2, or nothing in common); letter case does not count
 */
const char *np_nearest(const char *text, const char *const *names, size_t n);

#endif
