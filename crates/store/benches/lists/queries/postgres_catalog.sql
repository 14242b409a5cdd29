INSERT INTO endpoint_revision (key, endpoint, url, state)
SELECT key, key, url, state FROM endpoint WHERE revision = key;

INSERT INTO event_type (
  key, nonce, environment, name, description, archived, deprecated, created_at, updated_at
)
SELECT ({start}::int8 << 20) + n, 7, {environment}, 'invoice.kind.' || lpad(n::text, 5, '0'),
       'It happened', n % 5 = 0, false, {start}, {start}
FROM generate_series(1, 2000) AS n;

INSERT INTO task (
  key, nonce, environment, kind, status, request, data, first, cursor, ends, created_at, updated_at
)
SELECT ({start}::int8 << 20) + n, 7, {environment}, n % 4, 1 + n % 2, '{}', '{}', 0, 0, 0, {start},
       {start}
FROM generate_series(1, 2000) AS n;
