-- With the tokens by which it is called, and the one of its event stream.
WITH gone AS (
  DELETE FROM source WHERE application = $1 RETURNING key
), streams AS (
  DELETE FROM source_stream USING gone WHERE source = gone.key
)
DELETE FROM source_token USING gone WHERE source = gone.key
