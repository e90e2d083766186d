/* A pipeline file, read, checked and ready to run. Made by np_pipeline_load(), constant afterwards. */
#ifndef NP_PIPELINE_H
#define NP_PIPELINE_H

#include "pipeline/operator.h"

enum np_format { NP_FORMAT_AVRO, NP_FORMAT_JSON };
/* ARRAY: numbers; else bytes, little-endian (base64 in JSON) */
enum np_encoding { NP_ENC_ARRAY, NP_ENC_INT16, NP_ENC_INT32, NP_ENC_FLOAT32 };

struct np_property {
    char *name, *value;           /* a librdkafka property; see np_property_is_secret() */
};

/** @return true if the property's value must never be printed: passwords, secrets, private keys */
bool np_property_is_secret(const char *name);

/** Where the parts of a reading stand in a message. Paths are dotted ("head.meter"); "readings[].value" goes
 * into an array of records. */
struct np_mapping {
    char *sensor;                 /* path of the sensor's name, or NULL when it is the message key */
    char *time;                   /* path */
    int64_t time_unit_ns;         /* 1 .. 1000000000; 0: the schema's logical type, or RFC 3339 text */
    char *rate;                   /* path of the sampling rate [Hz], or NULL */
    double rate_hz;               /* the rate as a number, 0 if it is a field or the readings are irregular */
    char *quality;                /* path of a quality flag (not good: taken as missing), or NULL */
    /* either a fixed list of channels, or one field of samples with the channel's name in another */
    size_t n_channels;
    struct np_channel {
        char *name;               /* in results */
        char *path;
    } *channels;
    char *channel_name;           /* path of its name; then n_channels == 1 and channels[0].name == NULL */
    enum np_encoding encoding;
    double scale, offset;         /* value = raw * scale + offset */
    char *scale_path, *offset_path;   /* or taken from the message */
};

struct np_input {
    char *name;
    char *topic;
    enum np_format format;
    char *schema_file;            /* Avro without registry: one schema for all messages; else NULL */
    char *unit;                   /* of the samples, "" if not given */
    struct np_mapping map;
    int64_t lateness_ns, idle_ns;
    int64_t future_ns;            /* samples later than their message's timestamp by more are a wrong clock; 0: no bound */
    int start;                    /* where to begin without a committed offset: 0 earliest, 1 latest */
    bool late_to_dead_letters;
    const struct np_node *node;   /* borrowed from the pipeline's tree */
};

struct np_step {
    char *name;
    const struct np_operator *op;
    void *conf;                   /* parsed options of the operator */
    int input;                    /* index into inputs (also for chained steps: the input they go back to) */
    int parent;                   /* index of the step it reads, or -1: reads the input itself */
    int parent_column;            /* which result column of the parent */
    char *unit;                   /* of what it reads */
    int64_t window_ns, hop_ns;    /* windowed: aligned to the UTC epoch; 0 for streaming operators */
    struct np_columns columns;    /* result columns, units resolved */
    char *topic;                  /* NULL: goes to no topic */
    enum np_format topic_format;
    bool table;                   /* loaded into PostgreSQL */
    const struct np_node *node;
};

struct np_store {                 /* an input loaded as it is */
    int input;
};

struct np_pipeline {
    char *name;                   /* group, transactional ids, state topic */
    char *text;                   /* the file as read, for revisions */
    char *brokers;
    size_t n_properties;          /* none of those that the program sets itself (group.id, ..) */
    struct np_property *properties;
    char *registry_url, *registry_user, *registry_password;   /* url NULL: no registry */
    size_t n_inputs, n_steps, n_stores;
    struct np_input *inputs;
    struct np_step *steps;        /* parents before children */
    struct np_store *stores;
    struct {
        bool on;
        char *dsn;                /* secret: from dsn_file or dsn_env */
        char *schema;
        int64_t retention_ns;     /* 0: for ever */
        int64_t partition_ns;     /* length of one table partition */
    } postgres;
    char *dead_letters;           /* topic, NULL: a bad message stops the program */
    struct {                      /* `run:` */
        int64_t commit_ns;        /* commit interval */
        int64_t snapshot_ns;      /* snapshot interval */
        int64_t memory;           /* bound on buffered input and results [B] */
        int64_t lanes;            /* threads that compute; 0: one per core */
        int64_t batch_rows;       /* rows that close a batch */
        int64_t session_timeout_ns;
        char *http;               /* "127.0.0.1:9464" or NULL */
        char *worker;             /* stable name of this worker, NULL: the host's */
    } run;
    struct np_node *root;
};

/**
 * Reads and checks a pipeline file; every mistake is collected, not only the first.
 * @return given, free with np_pipeline_free(); NULL if there was any mistake
 */
struct np_pipeline *np_pipeline_load(const char *path, struct np_mistakes *mistakes);
/** The same from memory. @param path  files that it names are looked for beside this */
struct np_pipeline *np_pipeline_load_text(const char *text, size_t length, const char *path,
                                          struct np_mistakes *mistakes);
void np_pipeline_free(struct np_pipeline *pipeline);
/** The JSON Schema of the file, made from the option rows. */
void np_pipeline_schema(FILE *out);
/** The reference of the file's keys as Markdown, for docs/pipeline.md. */
void np_pipeline_reference(FILE *out);

#endif
