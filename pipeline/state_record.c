#include "pipeline/state_record.h"

#include <endian.h>
#include <string.h>

#include "pipeline/hash.h"

#define VERSION  1
#define CHECKSUM 8

/* --- little-endian in and out; a reader that runs off the end stays off --- */

static int put_u64(struct np_bytes *out, uint64_t value)
{
    value = htole64(value);
    return np_bytes_append(out, &value, sizeof value);
}

static int put_u32(struct np_bytes *out, uint32_t value)
{
    value = htole32(value);
    return np_bytes_append(out, &value, sizeof value);
}

struct reader {
    const unsigned char *at, *end;
    bool short_of;
};

static const unsigned char *take(struct reader *reader, size_t n)
{
    const unsigned char *at = reader->at;

    if ((size_t)(reader->end - at) < n) {
        reader->short_of = true;
        return NULL;
    }
    reader->at += n;
    return at;
}

static uint64_t get_u64(struct reader *reader)
{
    const unsigned char *at = take(reader, sizeof(uint64_t));
    uint64_t value = 0;

    if (at)
        memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static uint32_t get_u32(struct reader *reader)
{
    const unsigned char *at = take(reader, sizeof(uint32_t));
    uint32_t value = 0;

    if (at)
        memcpy(&value, at, sizeof value);
    return le32toh(value);
}

/* A value is: version, body, checksum of both. */
static int begin(struct np_bytes *out)
{
    static const unsigned char version = VERSION;

    return np_bytes_append(out, &version, 1);
}

static int finish(struct np_bytes *out, size_t start)
{
    return put_u64(out, np_hash(out->data + start, out->n - start, 0));
}

static bool open_value(struct reader *reader, const void *data, size_t n)
{
    struct reader tail;

    if (n < 1 + CHECKSUM || *(const unsigned char *)data != VERSION)
        return false;
    *reader = (struct reader){.at = data, .end = (const unsigned char *)data + n - CHECKSUM};
    tail = (struct reader){.at = reader->end, .end = reader->end + CHECKSUM};
    if (get_u64(&tail) != np_hash(data, n - CHECKSUM, 0))
        return false;
    reader->at++;
    return true;
}

/* --- revisions --- */

uint32_t np_revisions_find(const struct np_revisions *revisions, uint64_t hash)
{
    uint32_t oldest = revisions->n > NP_REVISIONS_MAX ? revisions->n - NP_REVISIONS_MAX + 1 : 1;

    for (uint32_t number = revisions->n; number >= oldest; number--)
        if (revisions->hashes[(number - 1) % NP_REVISIONS_MAX] == hash)
            return number;
    return 0;
}

void np_revisions_add(struct np_revisions *revisions, uint64_t hash)
{
    revisions->hashes[revisions->n++ % NP_REVISIONS_MAX] = hash;
}

uint64_t np_revisions_last(const struct np_revisions *revisions)
{
    return revisions->n ? revisions->hashes[(revisions->n - 1) % NP_REVISIONS_MAX] : 0;
}

/* --- records --- */

int np_cut_record_write(const struct np_cut_record *record, struct np_bytes *out)
{
    size_t start = out->n;

    if (begin(out) || put_u64(out, (uint64_t)record->cut) || put_u32(out, record->revision) ||
        np_bytes_append(out, record->topic_id, sizeof record->topic_id) || put_u64(out, record->digest))
        return -1;
    return finish(out, start);
}

bool np_cut_record_read(const void *data, size_t n, struct np_cut_record *out)
{
    struct reader reader;
    const unsigned char *id;

    if (!open_value(&reader, data, n))
        return false;
    out->cut = (int64_t)get_u64(&reader);
    out->revision = get_u32(&reader);
    id = take(&reader, sizeof out->topic_id);
    if (id)
        memcpy(out->topic_id, id, sizeof out->topic_id);
    out->digest = get_u64(&reader);
    return !reader.short_of && reader.at == reader.end;
}

int np_snapshot_header_write(const struct np_snapshot_header *header, struct np_bytes *out)
{
    const struct np_revisions *revisions = &header->revisions;
    size_t start = out->n;

    if (begin(out) || put_u64(out, (uint64_t)header->x) || put_u64(out, (uint64_t)header->resume) ||
        put_u32(out, header->chunks) || put_u64(out, header->bytes) || put_u64(out, header->hash) ||
        put_u32(out, (uint32_t)header->partitions) || put_u32(out, revisions->n))
        return -1;
    for (uint32_t i = 0; i < revisions->n && i < NP_REVISIONS_MAX; i++)
        if (put_u64(out, revisions->hashes[i]))
            return -1;
    if (put_u32(out, (uint32_t)header->text_length) ||
        np_bytes_append(out, header->text, header->text_length))
        return -1;
    return finish(out, start);
}

bool np_snapshot_header_read(const void *data, size_t n, struct np_snapshot_header *out)
{
    struct reader reader;

    if (!open_value(&reader, data, n))
        return false;
    out->x = (int64_t)get_u64(&reader);
    out->resume = (int64_t)get_u64(&reader);
    out->chunks = get_u32(&reader);
    out->bytes = get_u64(&reader);
    out->hash = get_u64(&reader);
    out->partitions = (int32_t)get_u32(&reader);
    out->revisions = (struct np_revisions){.n = get_u32(&reader)};
    for (uint32_t i = 0; i < out->revisions.n && i < NP_REVISIONS_MAX; i++)
        out->revisions.hashes[i] = get_u64(&reader);
    out->text_length = get_u32(&reader);
    out->text = (const char *)take(&reader, out->text_length);
    return !reader.short_of && reader.at == reader.end;
}

int np_decision_write(int64_t cut, const void *value, size_t value_length, struct np_bytes *out)
{
    size_t start = out->n;

    if (begin(out) || put_u64(out, (uint64_t)cut) || np_bytes_append(out, value, value_length))
        return -1;
    return finish(out, start);
}

bool np_decision_read(const void *data, size_t n, int64_t *cut, const void **value, size_t *value_length)
{
    struct reader reader;

    if (!open_value(&reader, data, n))
        return false;
    *cut = (int64_t)get_u64(&reader);
    *value = reader.at;
    *value_length = (size_t)(reader.end - reader.at);
    return !reader.short_of;
}

/* --- snapshots --- */

uint64_t np_snapshot_hash(const struct np_bytes *snapshot, int64_t x)
{
    return np_hash(snapshot->data, snapshot->n, (uint64_t)x);
}

uint32_t np_snapshot_chunks(size_t bytes)
{
    return (uint32_t)((bytes + NP_SNAPSHOT_CHUNK - 1) / NP_SNAPSHOT_CHUNK);
}

int np_snapshot_chunk_write(const struct np_bytes *snapshot, uint64_t hash, uint32_t index,
                            struct np_bytes *out)
{
    size_t from = (size_t)index * NP_SNAPSHOT_CHUNK;
    size_t n = snapshot->n - from < NP_SNAPSHOT_CHUNK ? snapshot->n - from : NP_SNAPSHOT_CHUNK;
    size_t start = out->n;

    if (begin(out) || put_u64(out, hash) || put_u32(out, index) ||
        np_bytes_append(out, snapshot->data + from, n))
        return -1;
    return finish(out, start);
}

int np_snapshot_chunk_read(const void *data, size_t n, uint64_t hash, uint32_t index,
                           struct np_bytes *snapshot)
{
    struct reader reader;

    if (!open_value(&reader, data, n) || get_u64(&reader) != hash || get_u32(&reader) != index ||
        reader.short_of)
        return 0;
    return np_bytes_append(snapshot, reader.at, (size_t)(reader.end - reader.at)) ? -1 : 1;
}

/* --- keys --- */

int np_state_key(const char *input, char kind, const void *entry, size_t entry_length, struct np_bytes *out)
{
    char middle[3] = {'/', kind, '/'};

    if (np_bytes_append(out, input, strlen(input)) || np_bytes_append(out, middle, entry ? 3 : 2))
        return -1;
    return entry ? np_bytes_append(out, entry, entry_length) : 0;
}

char np_state_key_read(const char *input, const void *key, size_t n, const void **entry, size_t *entry_length)
{
    size_t prefix = strlen(input);
    const char *text = key;

    *entry = NULL;
    *entry_length = 0;
    if (n < prefix + 2 || memcmp(text, input, prefix) != 0 || text[prefix] != '/')
        return 0;
    if (n == prefix + 2)
        return text[prefix + 1];
    if (text[prefix + 2] != '/')
        return 0;
    *entry = text + prefix + 3;
    *entry_length = n - prefix - 3;
    return text[prefix + 1];
}
