-- With the tokens by which it is called.
WITH gone AS (
  DELETE FROM source WHERE application = $1 RETURNING key
)
DELETE FROM source_token USING gone WHERE source = gone.key
