-- Step 6.2: which of the indexes that headshot_kills.sql needs are there, one row each.
-- Parameters: indexes (JSON text: [{"name": ..., "key": [column], "include": [column]}], see plan/indexes.yml); max_player_rows (int), from which
-- number of rows on the table is large. is_missing is the answer, create_sql what makes it. A B-tree serves that is valid, has no condition,
-- begins with the key's columns in their order and holds the others; its name does not matter.
WITH wanted AS (
    SELECT
        w.name,
        ARRAY(SELECT jsonb_array_elements_text(w.key)) AS key,
        ARRAY(SELECT jsonb_array_elements_text(w.include)) AS include
    FROM jsonb_to_recordset(%(indexes)s::jsonb) AS w (name text, key jsonb, include jsonb)
),
present AS (
    SELECT
        array_agg(a.attname::text ORDER BY k.place) FILTER (WHERE k.place <= i.indnkeyatts) AS key,
        array_agg(a.attname::text) AS columns
    FROM pg_index AS i
    INNER JOIN pg_class AS c ON c.oid = i.indexrelid
    INNER JOIN pg_am AS m ON m.oid = c.relam AND m.amname = 'btree'
    CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
    LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum AND k.attnum > 0
    WHERE i.indrelid = 'player_comprehensive_stats'::regclass AND i.indisvalid AND i.indisready AND i.indpred IS NULL
    GROUP BY i.indexrelid
),
size AS (
    SELECT count(*) > %(max_player_rows)s::integer AS is_large
    FROM (SELECT FROM player_comprehensive_stats LIMIT %(max_player_rows)s::integer + 1) AS counted
)
SELECT
    w.name,
    z.is_large AS is_needed,
    p.is_there,
    z.is_large AND NOT p.is_there AS is_missing,
    format(
        'CREATE INDEX CONCURRENTLY %%I ON player_comprehensive_stats (%%s)%%s',
        w.name,
        (SELECT string_agg(quote_ident(k.column_name), ', ' ORDER BY k.place) FROM unnest(w.key) WITH ORDINALITY AS k (column_name, place)),
        (
            SELECT ' INCLUDE (' || string_agg(quote_ident(k.column_name), ', ' ORDER BY k.place) || ')'
            FROM unnest(w.include) WITH ORDINALITY AS k (column_name, place)
        )
    ) AS create_sql
FROM wanted AS w
CROSS JOIN size AS z
CROSS JOIN LATERAL (
    SELECT count(*) > 0 AS is_there
    FROM present AS o
    WHERE o.key[1:cardinality(w.key)] = w.key AND o.columns @> (w.key || w.include)
) AS p
ORDER BY w.name
