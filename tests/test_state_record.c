#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/epoch.h"
#include "pipeline/map.h"
#include "pipeline/state_record.h"

static void a_cut_is_read_as_it_was_written(void **state)
{
    struct np_cut_record in = {.cut = 1234567890123, .revision = 7, .digest = 0xfedcba9876543210u}, out;
    struct np_bytes bytes = {0};

    (void)state;
    memset(in.topic_id, 0xab, sizeof in.topic_id);
    assert_int_equal(np_cut_record_write(&in, &bytes), 0);
    assert_true(np_cut_record_read(bytes.data, bytes.n, &out));
    assert_int_equal(out.cut, in.cut);
    assert_int_equal(out.revision, in.revision);
    assert_true(out.digest == in.digest);
    assert_memory_equal(out.topic_id, in.topic_id, sizeof in.topic_id);
    np_bytes_free(&bytes);
}

static void a_record_with_any_bit_turned_or_cut_short_is_refused(void **state)
{
    struct np_snapshot_header header = {
        .x = 10, .resume = 5, .chunks = 2, .bytes = 99, .text = "a: b", .text_length = 4};
    struct np_snapshot_header out;
    struct np_bytes bytes = {0};

    (void)state;
    np_revisions_add(&header.revisions, 42);
    assert_int_equal(np_snapshot_header_write(&header, &bytes), 0);
    assert_true(np_snapshot_header_read(bytes.data, bytes.n, &out));
    assert_memory_equal(out.text, "a: b", 4);
    for (size_t bit = 0; bit < bytes.n * 8; bit++) {
        bytes.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        assert_false(np_snapshot_header_read(bytes.data, bytes.n, &out));
        bytes.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    for (size_t n = 0; n < bytes.n; n++)
        assert_false(np_snapshot_header_read(bytes.data, n, &out));
    np_bytes_free(&bytes);
}

static void a_snapshot_comes_back_from_its_chunks_and_from_no_other(void **state)
{
    static const size_t sizes[] = {
        0, 1, NP_SNAPSHOT_CHUNK - 1, NP_SNAPSHOT_CHUNK, NP_SNAPSHOT_CHUNK + 1, 3 * NP_SNAPSHOT_CHUNK + 17};

    (void)state;
    for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
        struct np_bytes snapshot = {0}, back = {0}, chunk = {0};
        uint64_t hash;

        for (size_t i = 0; i < sizes[k]; i++) {
            unsigned char byte = (unsigned char)(i * 2654435761u >> 13);
            assert_int_equal(np_bytes_append(&snapshot, &byte, 1), 0);
        }
        hash = np_snapshot_hash(&snapshot, 77);
        for (uint32_t i = 0; i < np_snapshot_chunks(snapshot.n); i++) {
            chunk.n = 0;
            assert_int_equal(np_snapshot_chunk_write(&snapshot, hash, i, &chunk), 0);
            assert_int_equal(np_snapshot_chunk_read(chunk.data, chunk.n, hash ^ 1, i, &back), 0);
            assert_int_equal(np_snapshot_chunk_read(chunk.data, chunk.n, hash, i + 1, &back), 0);
            assert_int_equal(np_snapshot_chunk_read(chunk.data, chunk.n, hash, i, &back), 1);
        }
        assert_int_equal(back.n, snapshot.n);
        if (snapshot.n)
            assert_memory_equal(back.data, snapshot.data, snapshot.n);
        assert_true(np_snapshot_hash(&back, 77) == hash && np_snapshot_hash(&back, 78) != hash);
        np_bytes_free(&snapshot);
        np_bytes_free(&back);
        np_bytes_free(&chunk);
    }
}

static void a_key_belongs_to_the_input_that_wrote_it(void **state)
{
    static const struct {
        const char *input;
        char kind;
    } rows[] = {{"waves", 'f'}, {"wave", 0}, {"waves2", 0}, {"", 0}};
    struct np_bytes key = {0};
    const void *entry;
    size_t n;

    (void)state;
    assert_int_equal(np_state_key("waves", 'f', "m/1", 3, &key), 0);
    assert_int_equal(key.n, strlen("waves/f/m/1"));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(np_state_key_read(rows[i].input, key.data, key.n, &entry, &n), rows[i].kind);
    np_state_key_read("waves", key.data, key.n, &entry, &n);
    assert_int_equal(n, 3);
    assert_memory_equal(entry, "m/1", 3);
    key.n = 0;
    assert_int_equal(np_state_key("waves", 'c', NULL, 0, &key), 0);
    assert_int_equal(np_state_key_read("waves", key.data, key.n, &entry, &n), 'c');
    np_bytes_free(&key);
}

static void the_last_revisions_are_remembered_by_number(void **state)
{
    struct np_revisions revisions = {0};

    (void)state;
    assert_int_equal(np_revisions_find(&revisions, 1), 0);
    for (uint64_t hash = 1000; hash < 1000 + 3 * NP_REVISIONS_MAX; hash++)
        np_revisions_add(&revisions, hash);
    assert_int_equal(revisions.n, 3 * NP_REVISIONS_MAX);
    assert_true(np_revisions_last(&revisions) == 1000 + 3 * NP_REVISIONS_MAX - 1);
    assert_int_equal(np_revisions_find(&revisions, 1000 + 3 * NP_REVISIONS_MAX - 1), 3 * NP_REVISIONS_MAX);
    assert_int_equal(np_revisions_find(&revisions, 1000 + 2 * NP_REVISIONS_MAX), 2 * NP_REVISIONS_MAX + 1);
    assert_int_equal(np_revisions_find(&revisions, 1000 + 2 * NP_REVISIONS_MAX - 1), 0);
}

static void an_epoch_gives_back_records_dead_letters_and_entries(void **state)
{
    struct np_epoch *epoch = np_epoch_open((struct np_place){0, 3}, 1);
    struct np_item item = {.to = NP_TO_STEP + 2,
                           .end_ns = 99,
                           .key_length = 3,
                           .has_key = true,
                           .has_value = true},
                   got;
    struct np_bytes headers = {0};
    const void *key, *value;
    const unsigned char *cursor;
    const char *name;
    struct np_outgoing out;
    size_t at = 0, start, key_length, value_length, n;

    (void)state;
    assert_int_equal(np_epoch_item_begin(epoch, &item, "m01", NULL, &start), 0);
    assert_int_equal(np_bytes_append(&epoch->items, "result", 6), 0);
    np_epoch_item_end(epoch, start);
    np_header_put(&headers, "np.reason", "bad", 3);
    np_header_put(&headers, "empty", NULL, 0);
    item = (struct np_item){.to = NP_TO_DEAD_LETTERS,
                            .headers_length = (uint32_t)headers.n}; /* a tombstone without key */
    assert_int_equal(np_epoch_item_begin(epoch, &item, NULL, headers.data, &start), 0);
    np_epoch_item_end(epoch, start);
    assert_int_equal(np_epoch_entry_add(epoch, "k", 1, "v", 1), 0);
    assert_int_equal(np_epoch_entry_add(epoch, "gone", 4, NULL, 0), 0);

    assert_true(np_epoch_next(epoch, &at, &got, &out));
    assert_int_equal(out.to, NP_TO_STEP + 2);
    assert_int_equal(out.value_length, 6);
    assert_memory_equal(out.value, "result", 6);
    assert_memory_equal(out.key, "m01", 3);
    assert_true(np_epoch_next(epoch, &at, &got, &out));
    assert_null(out.key);
    assert_null(out.value);
    cursor = out.headers;
    assert_true(
        np_header_next(&cursor, (const unsigned char *)out.headers + out.headers_length, &name, &value, &n));
    assert_string_equal(name, "np.reason");
    assert_int_equal(n, 3);
    assert_true(
        np_header_next(&cursor, (const unsigned char *)out.headers + out.headers_length, &name, &value, &n));
    assert_null(value);
    assert_false(
        np_header_next(&cursor, (const unsigned char *)out.headers + out.headers_length, &name, &value, &n));
    assert_false(np_epoch_next(epoch, &at, &got, &out));
    assert_int_equal(epoch->n_records, 1);
    assert_int_equal(epoch->n_dead, 1);

    at = 0;
    assert_true(np_epoch_entry_next(epoch, &at, &key, &key_length, &value, &value_length));
    assert_memory_equal(value, "v", 1);
    assert_true(np_epoch_entry_next(epoch, &at, &key, &key_length, &value, &value_length));
    assert_int_equal(key_length, 4);
    assert_null(value);
    assert_false(np_epoch_entry_next(epoch, &at, &key, &key_length, &value, &value_length));
    np_bytes_free(&headers);
    np_epoch_close(epoch);
}

static void a_map_holds_what_was_put_last_over_thousands_of_changes(void **state)
{
    enum { KEYS = 500 };
    struct np_map map = {0};
    int present[KEYS] = {0};
    size_t n = 0, seen = 0, at = 0;
    unsigned seed = 12345;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        int key = rand_r(&seed) % KEYS, value = rand_r(&seed) % 1000 + 1;

        if (rand_r(&seed) % 3 == 0) {
            np_map_remove(&map, &key, sizeof key);
            present[key] = 0;
        } else {
            assert_int_equal(np_map_put(&map, &key, sizeof key, &value, sizeof value), 0);
            present[key] = value;
        }
    }
    for (int key = 0; key < KEYS; key++) {
        const struct np_map_entry *entry = np_map_get(&map, &key, sizeof key);

        n += present[key] != 0;
        assert_int_equal(entry != NULL, present[key] != 0);
        if (entry)
            assert_memory_equal(entry->value, &present[key], sizeof present[key]);
    }
    while (np_map_next(&map, &at))
        seen++;
    assert_int_equal(map.n, n);
    assert_int_equal(seen, n);
    np_map_free(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_is_read_as_it_was_written),
        cmocka_unit_test(a_record_with_any_bit_turned_or_cut_short_is_refused),
        cmocka_unit_test(a_snapshot_comes_back_from_its_chunks_and_from_no_other),
        cmocka_unit_test(a_key_belongs_to_the_input_that_wrote_it),
        cmocka_unit_test(the_last_revisions_are_remembered_by_number),
        cmocka_unit_test(an_epoch_gives_back_records_dead_letters_and_entries),
        cmocka_unit_test(a_map_holds_what_was_put_last_over_thousands_of_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
