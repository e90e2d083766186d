#include "sinks/pg_tables.h"

#include <stdlib.h>
#include <string.h>

#include "pipeline/log.h"
#include "sinks/sql.h"

static const char *const role_endings[] = {"owner", "writer", "reader"};

static enum np_status run(struct np_pg *pg, struct np_bytes *sql, int rc, struct np_error *err)
{
    if (rc)
        return np_fail(err, NP_ENOMEM, "PostgreSQL: statement");
    return np_pg_run(pg, np_sql_text(sql), err);
}

/* One value of a query with text parameters; absent and null: "". */
static enum np_status ask(struct np_pg *pg, const char *sql, int n, const char *const *params, char *out,
                          size_t size, struct np_error *err)
{
    struct np_pg_rows *rows = NULL;
    enum np_status status = np_pg_query(pg, sql, n, params, &rows, err);

    out[0] = '\0';
    if (status == NP_OK && np_pg_rows_n(rows) > 0 && np_pg_cell(rows, 0, 0))
        snprintf(out, size, "%s", np_pg_cell(rows, 0, 0));
    np_pg_rows_close(rows);
    return status;
}

static enum np_status may(struct np_pg *pg, const char *sql, const char *param, bool *yes,
                          struct np_error *err)
{
    char text[8];
    enum np_status status = ask(pg, sql, param ? 1 : 0, &param, text, sizeof text, err);

    *yes = text[0] == 't';
    return status;
}

enum np_status np_pg_tables_lock(struct np_pg *pg, const struct np_pg_tables *tables, struct np_error *err)
{
    struct np_bytes sql = {0};
    enum np_status status;

    status =
        run(pg, &sql,
            np_sql(&sql, "SELECT pg_advisory_xact_lock(hashtextextended(%L, 7209))", tables->schema), err);
    np_bytes_free(&sql);
    return status == NP_OK ? np_pg_tables_role(pg, tables, err) : status;
}

enum np_status np_pg_tables_role(struct np_pg *pg, const struct np_pg_tables *tables, struct np_error *err)
{
    struct np_bytes sql = {0};
    char role[80];
    bool owner;
    enum np_status status;

    if (!tables->roles)
        return NP_OK;
    /* new objects belong to the owner, if all that is there already does */
    snprintf(role, sizeof role, "%s_owner", tables->schema);
    status = may(pg,
                 "SELECT pg_has_role(current_user, r.oid, CASE WHEN "
                 "current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END) AND "
                 "has_schema_privilege(r.oid, n.oid, 'CREATE') AND NOT EXISTS (SELECT 1 FROM pg_class c "
                 "WHERE c.relnamespace = n.oid AND c.relkind IN ('r','p','v') AND c.relowner <> r.oid) FROM "
                 "pg_roles r, pg_namespace n WHERE r.rolname = $1 AND n.nspname || '_owner' = $1",
                 role, &owner, err);
    if (status != NP_OK || !owner)
        return status;
    status = run(pg, &sql, np_sql(&sql, "SET LOCAL ROLE %I", role), err);
    np_bytes_free(&sql);
    return status;
}

static enum np_status make_roles(struct np_pg *pg, struct np_pg_tables *tables, struct np_error *err)
{
    struct np_bytes sql = {0};
    char role[80];
    bool there[3], allowed;
    enum np_status status =
        may(pg, "SELECT rolcreaterole OR rolsuper FROM pg_roles WHERE rolname = current_user", NULL, &allowed,
            err);

    tables->roles = true;
    for (int i = 0; i < 3 && status == NP_OK; i++) {
        snprintf(role, sizeof role, "%s_%s", tables->schema, role_endings[i]);
        status = may(pg, "SELECT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = $1)", role, &there[i], err);
        tables->roles &= there[i];
    }
    if (status != NP_OK || tables->roles)
        return status;
    if (!allowed) {
        np_log(NP_LOG_INFO, "postgres", "roles are not made: the user has no CREATEROLE",
               "owner=%s_owner writer=%s_writer reader=%s_reader", tables->schema, tables->schema,
               tables->schema);
        return NP_OK;
    }
    for (int i = 0; i < 3 && status == NP_OK; i++) {
        snprintf(role, sizeof role, "%s_%s", tables->schema, role_endings[i]);
        sql.n = 0;
        if (!there[i])
            status = run(pg, &sql,
                         np_sql(&sql, "CREATE ROLE %I NOLOGIN; COMMENT ON ROLE %I IS %L", role, role,
                                i == 0   ? "owns the tables that netzpuls makes"
                                : i == 1 ? "may load into the tables of netzpuls"
                                         : "may read the tables of netzpuls"),
                         err);
        sql.n = 0;
        if (status == NP_OK && i < 2)
            status = run(pg, &sql,
                         np_sql(&sql, "GRANT %I TO CURRENT_USER%s", role,
                                np_pg_version(pg) >= 160000 ? " WITH SET TRUE, INHERIT TRUE" : ""),
                         err);
    }
    np_bytes_free(&sql);
    tables->roles = status == NP_OK;
    return status;
}

static enum np_status make_schema(struct np_pg *pg, const struct np_pg_tables *tables, struct np_error *err)
{
    const char *s = tables->schema;
    struct np_bytes sql = {0};
    char role[80];
    bool there;
    enum np_status status =
        may(pg, "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)", s, &there, err);
    int rc;

    if (status != NP_OK || there)
        return status;
    snprintf(role, sizeof role, "%s_%s", s, role_endings[0]);
    rc = np_sql(&sql, "CREATE SCHEMA %I%s", s, tables->roles ? " AUTHORIZATION " : ";");
    if (tables->roles)
        rc = rc ? rc : np_sql(&sql, "%I;", role);
    rc = rc ? rc : np_sql(&sql, "COMMENT ON SCHEMA %I IS 'results of netzpuls'", s);
    status = run(pg, &sql, rc, err);
    np_bytes_free(&sql);
    return status;
}

/* Runs the statements of an object unless it is there and was made from the same text. */
static enum np_status apply(struct np_pg *pg, const struct np_pg_tables *tables, const char *name,
                            struct np_bytes *script, int rc, struct np_error *err)
{
    struct np_bytes sql = {0};
    struct np_pg_rows *rows = NULL;
    bool objects, same = false;
    const char *params[2];
    enum np_status status;

    if (rc || np_sql(&sql, "%I.objects", tables->schema))
        return np_fail(err, NP_ENOMEM, "PostgreSQL: statement");
    status = may(pg, "SELECT to_regclass($1) IS NOT NULL", np_sql_text(&sql), &objects, err);
    if (status == NP_OK && objects) {
        sql.n = 0;
        rc = np_sql(
            &sql,
            "SELECT 1 FROM %I.objects o JOIN pg_catalog.pg_class c ON c.relname = o.name JOIN "
            "pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = %L WHERE o.name = $1 AND "
            "o.definition = $2",
            tables->schema, tables->schema);
        params[0] = name;
        params[1] = np_sql_text(script);
        status = rc ? np_fail(err, NP_ENOMEM, "PostgreSQL: statement")
                    : np_pg_query(pg, np_sql_text(&sql), 2, params, &rows, err);
        same = status == NP_OK && np_pg_rows_n(rows) > 0;
        np_pg_rows_close(rows);
    }
    if (status != NP_OK || same)
        goto out;
    status = np_pg_run(pg, np_sql_text(script), err);
    if (status != NP_OK)
        goto out;
    sql.n = 0;
    status = run(pg, &sql,
                 np_sql(&sql,
                        "INSERT INTO %I.objects VALUES (%L, %L) ON CONFLICT (name) DO UPDATE SET definition "
                        "= excluded.definition",
                        tables->schema, name, np_sql_text(script)),
                 err);
out:
    np_bytes_free(&sql);
    return status;
}

static enum np_status make_common(struct np_pg *pg, const struct np_pg_tables *tables, struct np_error *err)
{
    struct np_bytes script = {0};
    enum np_status status = NP_OK;
    size_t n = 0;

    while (np_pg_common[n].name)
        n++;
    /* `objects`, the last of the list, has to be there before anything is noted in it */
    for (size_t i = 0; i < n && status == NP_OK; i++) {
        const struct np_pg_common *common = &np_pg_common[(i + n - 1) % n];
        int rc;

        script.n = 0;
        rc = np_pg_common_sql(tables, common, &script);
        status = apply(pg, tables, common->name, &script, rc, err);
    }
    np_bytes_free(&script);
    return status;
}

/* Columns of a table in order: name, type, whether a row needs a value for it. No rows: there is no such
 * table. */
static enum np_status read_columns(struct np_pg *pg, const struct np_pg_tables *tables,
                                   const struct np_pg_table *table, struct np_pg_rows **rows,
                                   struct np_error *err)
{
    const char *params[2] = {tables->schema, table->data};

    return np_pg_query(
        pg,
        "SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull AND NOT a.atthasdef AND "
        "a.attidentity = '', c.relkind FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = "
        "c.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT "
        "a.attisdropped WHERE n.nspname = $1 AND c.relname = $2 ORDER BY a.attnum",
        2, params, rows, err);
}

static const struct np_pg_column *wanted(const struct np_pg_table *table, const char *name)
{
    for (size_t i = 0; i < table->n_columns; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    return NULL;
}

static bool has(const struct np_pg_rows *rows, const char *name)
{
    for (size_t i = 0; i < np_pg_rows_n(rows); i++)
        if (strcmp(np_pg_cell(rows, i, 0), name) == 0)
            return true;
    return false;
}

/* What is wrong with column i of an existing table, and what to do. @return NP_OK or NP_ECONFIG */
static enum np_status compare(const struct np_pg_tables *tables, const struct np_pg_table *table,
                              const struct np_pg_rows *rows, size_t i, struct np_error *err)
{
    const char *name = np_pg_cell(rows, i, 0), *type = np_pg_cell(rows, i, 1), *s = tables->schema;
    const struct np_pg_column *column = wanted(table, name);

    if (np_pg_cell(rows, i, 3)[0] != 'p')
        return np_fail(err, NP_ECONFIG,
                       "%s.%s is there and is not a partitioned table: rename it, or rename %s in the "
                       "pipeline",
                       s, table->data, table->name);
    if (!column && np_pg_cell(rows, i, 2)[0] == 't')
        return np_fail(err, NP_ECONFIG,
                       "table %s.%s: column \"%s\" must not be null, but %s does not fill it: ALTER TABLE "
                       "\"%s\".\"%s\" ALTER COLUMN \"%s\" DROP NOT NULL",
                       s, table->data, name, table->name, s, table->data, name);
    if (column && strcmp(column->sql_type, type) != 0)
        return np_fail(
            err, NP_ECONFIG,
            "table %s.%s: column \"%s\" is %s there, %s gives %s; a type cannot be changed in place: rename "
            "%s in the pipeline (a new table is made), or stop all loaders and run DROP VIEW \"%s\".\"%s\"; "
            "ALTER TABLE \"%s\".\"%s\" ALTER COLUMN \"%s\" TYPE %s (rewrites all rows)",
            s, table->data, name, type, table->name, column->sql_type, table->name, s, table->name, s,
            table->data, name, column->sql_type);
    return NP_OK;
}

/* @return NP_OK: column i is there; NP_EDATA: it can be added; NP_ECONFIG: it should be there */
static enum np_status lacks(const struct np_pg_tables *tables, const struct np_pg_table *table,
                            const struct np_pg_rows *rows, size_t i, struct np_error *err)
{
    const struct np_pg_column *column = &table->columns[i];

    if (has(rows, column->name))
        return NP_OK;
    if (!column->not_null)
        return NP_EDATA;
    return np_fail(
        err, NP_ECONFIG,
        "table %s.%s lacks column \"%s\": it was not made by this program; rename it, or rename %s in "
        "the pipeline",
        tables->schema, table->data, column->name, table->name);
}

static enum np_status make_data(struct np_pg *pg, const struct np_pg_tables *tables,
                                const struct np_pg_table *table, struct np_error *err)
{
    struct np_bytes sql = {0};
    struct np_pg_rows *rows = NULL;
    enum np_status status = read_columns(pg, tables, table, &rows, err);
    size_t n = status == NP_OK ? np_pg_rows_n(rows) : 0;
    int rc = 0;

    for (size_t i = 0; i < n && status == NP_OK; i++)
        status = compare(tables, table, rows, i, err);
    if (status != NP_OK)
        goto out;
    if (n == 0)
        rc = np_pg_data_create(tables, table, &sql);
    for (size_t i = 0; n > 0 && i < table->n_columns; i++) {
        const struct np_pg_column *column = &table->columns[i];

        switch (lacks(tables, table, rows, i, err)) {
        case NP_OK:
            continue;
        case NP_ECONFIG:
            status = NP_ECONFIG;
            goto out;
        default:
            break;
        }
        np_log(NP_LOG_INFO, "postgres", "column added", "table=%s.%s column=%s", tables->schema, table->data,
               column->name);
        rc = rc ? rc
                : np_sql(&sql, "ALTER TABLE %I.%I ADD COLUMN %I %s;\n", tables->schema, table->data,
                         column->name, column->sql_type);
    }
    if (rc || sql.n > 0)
        status = run(pg, &sql, rc, err);
    if (status == NP_OK) {
        sql.n = 0;
        rc = np_pg_data_comments(tables, table, &sql);
        status = apply(pg, tables, table->data, &sql, rc, err);
    }
out:
    np_pg_rows_close(rows);
    np_bytes_free(&sql);
    return status;
}

/* A view can only grow at its end, so it follows the order of the table, which grows there too. */
static enum np_status make_view(struct np_pg *pg, const struct np_pg_tables *tables,
                                const struct np_pg_table *table, struct np_error *err)
{
    struct np_bytes sql = {0};
    struct np_pg_rows *rows = NULL;
    const char **order = NULL;
    size_t n = 0;
    enum np_status status = read_columns(pg, tables, table, &rows, err);
    int rc;

    if (status != NP_OK)
        return status;
    order = calloc(np_pg_rows_n(rows) + 1, sizeof *order);
    if (!order) {
        status = np_fail(err, NP_ENOMEM, "PostgreSQL: view");
        goto out;
    }
    for (size_t i = 0; i < np_pg_rows_n(rows); i++) {
        const struct np_pg_column *column = wanted(table, np_pg_cell(rows, i, 0));

        if (!column || column >= table->columns + table->n_fixed)
            order[n++] = np_pg_cell(rows, i, 0);
    }
    rc = np_pg_view_sql(tables, table, order, n, &sql);
    status = apply(pg, tables, table->name, &sql, rc, err);
out:
    free(order);
    np_pg_rows_close(rows);
    np_bytes_free(&sql);
    return status;
}

enum np_status np_pg_tables_ensure(struct np_pg *pg, struct np_pg_tables *tables, struct np_error *err)
{
    struct np_error ignored;
    enum np_status status;

    tables->roles = false;
    status = np_pg_run(pg, "BEGIN", err);
    if (status == NP_OK)
        status = np_pg_tables_lock(pg, tables, err);
    if (status == NP_OK)
        status = make_roles(pg, tables, err);
    if (status == NP_OK)
        status = make_schema(pg, tables, err);
    if (status == NP_OK)
        status = np_pg_tables_lock(pg, tables, err); /* once more, now with the owner's role */
    if (status == NP_OK)
        status = make_common(pg, tables, err);
    for (size_t i = 0; i < tables->n && status == NP_OK; i++) {
        status = make_data(pg, tables, &tables->items[i], err);
        if (status == NP_OK)
            status = make_view(pg, tables, &tables->items[i], err);
    }
    if (status == NP_OK)
        status = np_pg_commit(pg, err);
    if (status != NP_OK) {
        if (!np_pg_lost(pg))
            np_pg_run(pg, "ROLLBACK", &ignored);
        return status;
    }
    for (size_t i = 0; i < tables->n && status == NP_OK; i++)
        status = np_pg_partitions_read(pg, tables, &tables->items[i], err);
    return status;
}

static enum np_status missing_right(const struct np_pg_tables *tables, const struct np_pg_table *table,
                                    bool there, struct np_error *err)
{
    const char *s = tables->schema;

    return there ? np_fail(err, NP_ECONFIG,
                           "table %s.%s: the user may not write it: GRANT \"%s_writer\" TO the user", s,
                           table->data, s)
                 : np_fail(err, NP_ECONFIG,
                           "table %s.%s does not exist, and the user may not make it: GRANT CREATE ON SCHEMA "
                           "\"%s\" "
                           "TO the user",
                           s, table->data, s);
}

/* A table that is there must take rows; one that is not must be possible to make. */
static enum np_status check_rights(struct np_pg *pg, const struct np_pg_tables *tables,
                                   const struct np_pg_table *table, bool there, struct np_error *err)
{
    const char *params[2] = {tables->schema, table->data};
    char text[8];
    enum np_status status =
        there ? ask(pg,
                    "SELECT has_table_privilege(c.oid, 'INSERT') FROM pg_class c WHERE c.relnamespace = "
                    "to_regnamespace(quote_ident($1)) AND c.relname = $2",
                    2, params, text, sizeof text, err)
              : ask(pg,
                    "SELECT has_schema_privilege(n.oid, 'CREATE') OR EXISTS (SELECT 1 FROM pg_roles r WHERE "
                    "r.rolname = n.nspname || '_owner' AND pg_has_role(current_user, r.oid, 'MEMBER')) FROM "
                    "pg_namespace n WHERE n.nspname = $1",
                    1, params, text, sizeof text, err);

    if (status != NP_OK || text[0] != 'f')
        return status;
    return missing_right(tables, table, there, err);
}

static void check_table(struct np_pg *pg, const struct np_pg_tables *tables, const struct np_pg_table *table,
                        struct np_mistakes *mistakes)
{
    const struct np_node *node = table->step ? table->step->node : table->input->node;
    struct np_pg_rows *rows = NULL;
    struct np_error err;
    size_t n, before = mistakes->n;

    if (read_columns(pg, tables, table, &rows, &err) != NP_OK) {
        np_mistake_add(mistakes, node, "%s", err.text);
        return;
    }
    n = np_pg_rows_n(rows);
    for (size_t i = 0; i < n; i++) {
        if (compare(tables, table, rows, i, &err) == NP_OK)
            continue;
        np_mistake_add(mistakes, node, "%s", err.text);
        if (np_pg_cell(rows, i, 3)[0] != 'p') /* said of the table, not of each column */
            break;
    }
    for (size_t i = 0; n > 0 && mistakes->n == before && i < table->n_columns; i++)
        if (lacks(tables, table, rows, i, &err) == NP_ECONFIG)
            np_mistake_add(mistakes, node, "%s", err.text);
    if (mistakes->n == before && check_rights(pg, tables, table, n > 0, &err) != NP_OK)
        np_mistake_add(mistakes, node, "%s", err.text);
    np_pg_rows_close(rows);
}

enum np_status np_pg_tables_check(const struct np_pipeline *pipeline, struct np_mistakes *mistakes)
{
    static const struct np_pg_limits limits = {.connect_ms = 5000, .tcp_ms = 5000};
    const struct np_node *node = pipeline->root ? np_node_get(pipeline->root, "outputs") : NULL;
    const char *schema = pipeline->postgres.schema;
    struct np_pg_tables *tables = NULL;
    struct np_pg *pg = NULL;
    struct np_error err;
    enum np_status status;
    bool ok;

    if (np_node_get(node, "postgres"))
        node = np_node_get(node, "postgres");
    if ((status = np_pg_layout(&tables, pipeline, &err)) != NP_OK ||
        (status = np_pg_open(&pg, pipeline->postgres.dsn, "netzpuls check", &limits, &err)) != NP_OK ||
        (status =
             may(pg,
                 "SELECT CASE WHEN EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1) THEN true ELSE "
                 "has_database_privilege(current_database(), 'CREATE') END",
                 schema, &ok, &err)) != NP_OK) {
        np_mistake_add(mistakes, node, "%s", err.text);
        goto out;
    }
    if (!ok)
        np_mistake_add(mistakes, node,
                       "PostgreSQL: there is no schema \"%s\", and the user may not make it: GRANT CREATE ON "
                       "DATABASE to the user, or CREATE SCHEMA \"%s\" AUTHORIZATION the user",
                       schema, schema);
    for (size_t i = 0; i < tables->n; i++)
        check_table(pg, tables, &tables->items[i], mistakes);
out:
    np_pg_close(pg);
    np_pg_tables_free(tables);
    return status;
}
