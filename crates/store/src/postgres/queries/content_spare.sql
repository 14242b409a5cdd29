-- What is still pending keeps its content, in the default partition. From the deliveries, which are
-- few beside a day's content: while this runs nobody can append.
INSERT INTO content (expires_at, shard, message, payload, headers)
SELECT c.expires_at, c.shard, c.message, c.payload, c.headers
FROM (SELECT DISTINCT shard, message FROM delivery) AS d
  JOIN {over} AS c ON c.shard = d.shard AND c.message = d.message;
