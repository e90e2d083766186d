#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/node.h"

static struct np_node *read_text(const char *text, struct np_mistakes *mistakes)
{
    *mistakes = (struct np_mistakes){.file = "t"};
    return np_node_read_text(text, strlen(text), mistakes);
}

static char *printed(const struct np_mistakes *mistakes)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    np_mistakes_print(mistakes, out);
    fclose(out);
    return text;
}

static void a_tree_knows_where_its_nodes_stand(void **state)
{
    struct np_mistakes mistakes;
    struct np_node *root = read_text("a:\n  b: [1, \"2\"]\n  c: {d: x}\n", &mistakes);
    const struct np_node *a, *b, *d;

    (void)state;
    assert_non_null(root);
    assert_false(np_mistakes_any(&mistakes));
    a = np_node_get(root, "a");
    b = np_node_get(a, "b");
    d = np_node_get(np_node_get(a, "c"), "d");
    assert_int_equal(a->kind, NP_NODE_MAP);
    assert_int_equal(b->kind, NP_NODE_LIST);
    assert_int_equal(b->n, 2);
    assert_string_equal(b->items[1]->text, "2");
    assert_true(b->items[1]->quoted);
    assert_false(b->items[0]->quoted);
    assert_string_equal(d->text, "x");
    assert_int_equal(d->line, 3);
    assert_int_equal(d->column, 10);
    assert_null(np_node_get(root, "b"));
    assert_null(np_node_get(d, "b"));
    np_node_free(root);
}

static void variables_are_replaced_in_values_and_never_shown(void **state)
{
    struct np_mistakes mistakes;
    struct np_node *root;
    const struct np_node *a;

    (void)state;
    setenv("NP_TEST_ONE", "first ${NP_TEST_TWO}", 1);
    root = read_text("a: \"<${NP_TEST_ONE}|${NP_TEST_ONE}>\"\nb: $${NP_TEST_ONE} $5\n${c}: 1\n", &mistakes);
    assert_non_null(root);
    assert_false(np_mistakes_any(&mistakes));
    a = np_node_get(root, "a");
    assert_string_equal(a->text, "<first ${NP_TEST_TWO}|first ${NP_TEST_TWO}>");
    assert_string_equal(np_node_shown(a), "<${NP_TEST_ONE}|${NP_TEST_ONE}>");
    assert_string_equal(np_node_get(root, "b")->text, "${NP_TEST_ONE} $5");
    assert_string_equal(np_node_get(root, "${c}")->text, "1");
    np_node_free(root);
}

static void what_yaml_allows_and_we_do_not_is_told_with_its_place(void **state)
{
    static const struct {
        const char *text, *mistakes;
    } rows[] = {
        {"", "t:1:1: the file is empty\n"},
        {"# only a comment\n", "t:1:1: the file is empty\n"},
        {"a: 1\nb: 2\na: 3\n", "t:3:1: key \"a\" stands here twice; allowed is once\n"},
        {"a: &x 1\nb: *x\n", "t:1:4: anchors (&x) are not supported; write the value out\n"
                             "t:2:4: aliases (*x) are not supported; write the value out\n"},
        {"a: !!str 1\n", "t:1:4: tags (tag:yaml.org,2002:str) are not supported; leave it out\n"},
        {"a: ${NP_TEST_UNSET}\n", "t:1:4: the environment variable NP_TEST_UNSET is not set\n"},
        {"a: \"x${1}\"\n",
         "t:1:4: \"${\" is not followed by NAME}; allowed: ${NAME} for an environment variable, $${ "
         "for the characters themselves\n"},
        {"a: ${NP_TEST\n",
         "t:1:4: \"${\" is not followed by NAME}; allowed: ${NAME} for an environment variable, "
         "$${ for the characters themselves\n"},
        {"a: 1\n---\nb: 2\n", "t:2:1: a second document; allowed is one in a file\n"},
        {"a: [1, 2\nb: 3\n",
         "t:2:2: not YAML: did not find expected ',' or ']', while parsing a flow sequence\n"},
        {"a:\n\tb: 1\n",
         "t:2:1: not YAML: found character that cannot start any token, while scanning for the next token\n"},
        {"a: \"x\\0y\"\n", "t:1:4: a zero byte in a value; leave it out\n"},
        {"[1]: 2\n", "t:1:1: a key must be a name, not a map or list\n"},
    };

    (void)state;
    unsetenv("NP_TEST_UNSET");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct np_mistakes mistakes;
        struct np_node *root = read_text(rows[i].text, &mistakes);
        char *text = printed(&mistakes);

        if (strcmp(text, rows[i].mistakes) != 0)
            fail_msg("row %zu:\ngot      %sexpected %s", i, text, rows[i].mistakes);
        free(text);
        np_node_free(root);
        np_mistakes_free(&mistakes);
    }
}

static void deep_nesting_is_refused_and_not_followed(void **state)
{
    char text[2000];
    struct np_mistakes mistakes;

    (void)state;
    memset(text, '[', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_null(read_text(text, &mistakes));
    assert_int_equal(mistakes.n, 1);
    assert_string_equal(mistakes.items[0].text, "nested too deeply; allowed are 32 levels");
    np_mistakes_free(&mistakes);
}

static void a_file_that_cannot_be_read_is_one_mistake(void **state)
{
    struct np_mistakes mistakes = {.file = "t"};

    (void)state;
    assert_null(np_node_read_file("/nowhere/x.yaml", &mistakes));
    assert_int_equal(mistakes.n, 1);
    assert_string_equal(mistakes.items[0].text, "cannot read /nowhere/x.yaml: No such file or directory");
    assert_null(np_node_read_file("/dev/zero", &mistakes));
    assert_string_equal(mistakes.items[1].text, "cannot read /dev/zero: not a file");
    np_mistakes_free(&mistakes);
}

static void mistakes_are_printed_by_place_and_else_in_the_order_found(void **state)
{
    struct np_node late = {.line = 3, .column = 1}, early = {.line = 2, .column = 9},
                   first = {.line = 2, .column = 2};
    struct np_mistakes mistakes = {.file = "t"};
    char *text;

    (void)state;
    np_mistake_add(&mistakes, &late, "x %d", 1);
    np_mistake_add(&mistakes, &late, "a %d", 2);
    np_mistake_add(&mistakes, &early, "early");
    np_mistake_add(&mistakes, &first, "first");
    np_mistake_add(&mistakes, NULL, "nowhere");
    text = printed(&mistakes);
    assert_string_equal(text, "t:1:1: nowhere\nt:2:2: first\nt:2:9: early\nt:3:1: x 1\nt:3:1: a 2\n");
    free(text);
    np_mistakes_free(&mistakes);
}

static void the_nearest_name_is_found_and_a_far_one_is_not_offered(void **state)
{
    static const char *const names[] = {"window", "hop", "operator", "input", "rms", "rate"};
    static const struct {
        const char *text, *nearest;
    } rows[] = {
        {"windw", "window"}, {"WINDOW", "window"}, {"wnidow", "window"}, {"operattor", "operator"},
        {"inptu", "input"},  {"xyz", NULL},        {"retention", NULL},  {"", NULL},
        {"q", NULL},         {"RMS", "rms"},       {"raet", "rate"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *nearest = np_nearest(rows[i].text, names, sizeof names / sizeof *names);

        if ((nearest == NULL) != (rows[i].nearest == NULL) ||
            (nearest && strcmp(nearest, rows[i].nearest) != 0))
            fail_msg("\"%s\": got %s, expected %s", rows[i].text, nearest ? nearest : "none",
                     rows[i].nearest ? rows[i].nearest : "none");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_knows_where_its_nodes_stand),
        cmocka_unit_test(variables_are_replaced_in_values_and_never_shown),
        cmocka_unit_test(what_yaml_allows_and_we_do_not_is_told_with_its_place),
        cmocka_unit_test(deep_nesting_is_refused_and_not_followed),
        cmocka_unit_test(a_file_that_cannot_be_read_is_one_mistake),
        cmocka_unit_test(mistakes_are_printed_by_place_and_else_in_the_order_found),
        cmocka_unit_test(the_nearest_name_is_found_and_a_far_one_is_not_offered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
