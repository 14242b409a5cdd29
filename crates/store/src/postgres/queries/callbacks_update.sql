UPDATE callback SET state = new.state, due_at = new.due_at, expires_at = new.expires_at,
  seen_at = new.seen_at, taken = new.taken, failed = new.failed, answer = new.answer,
  settled_at = new.settled_at, settled_by = new.settled_by, settled_nonce = new.settled_nonce,
  requests = new.requests
FROM unnest($1::int8[], $2::int2[], $3::int8[], $4::int8[], $5::int8[], $6::int8[], $7::bool[],
            $8::bytea[], $9::int8[], $10::int8[], $11::int8[], $12::int8[])
  AS new (key, state, due_at, expires_at, seen_at, taken, failed, answer, settled_at, settled_by,
          settled_nonce, requests)
WHERE callback.key = new.key
