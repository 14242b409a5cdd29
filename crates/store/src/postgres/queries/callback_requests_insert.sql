INSERT INTO callback_request (key, nonce, callback, act, party, fate, item, reason, method, target,
  address, content_type, headers, bytes, message, message_nonce, body)
SELECT * FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int2[], $5::int2[], $6::int2[],
  $7::int8[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
  $14::int8[], $15::int8[], $16::int8[], $17::bytea[])
