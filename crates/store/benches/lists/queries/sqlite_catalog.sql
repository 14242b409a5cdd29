INSERT INTO endpoint_revision (key, endpoint, url, state)
SELECT key, key, url, state FROM endpoint WHERE revision = key;

INSERT INTO event_type (
  key, nonce, environment, name, description, archived, deprecated, created_at, updated_at
)
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 2000)
SELECT ({start} << 20) + n, 7, {environment}, printf('invoice.kind.%05d', n), 'It happened', n % 5 = 0,
       0, {start}, {start}
FROM number;

INSERT INTO task (
  key, nonce, environment, kind, status, request, data, first, cursor, ends, created_at, updated_at
)
WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 2000)
SELECT ({start} << 20) + n, 7, {environment}, n % 4, 1 + n % 2, '{}', '{}', 0, 0, 0, {start}, {start}
FROM number;
