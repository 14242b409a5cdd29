SELECT r.key, r.nonce, r.fate, r.reason, r.verdict, r.status, r.method, r.target, r.address, r.event_id,
       r.event_type, r.bytes, r.message, r.message_nonce, coalesce(r.headers, c.headers),
       coalesce(r.body, c.payload)
FROM request AS r
  LEFT JOIN LATERAL (
    SELECT payload, headers FROM content
    WHERE shard = r.shard AND message = r.key
      AND expires_at = (SELECT expires_at FROM message WHERE shard = $1 AND key = $4)
    OFFSET 0
  ) AS c ON r.message = r.key
WHERE r.shard = $1 AND r.source = $2 AND r.environment = $3 AND r.key = $4 AND r.nonce = $5
