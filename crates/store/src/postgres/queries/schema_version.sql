CREATE TABLE IF NOT EXISTS schema_version (
  version    int8 PRIMARY KEY,
  applied_at timestamptz NOT NULL DEFAULT now()
)
