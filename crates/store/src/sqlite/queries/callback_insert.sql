INSERT INTO callback (key, nonce, environment, application, application_nonce, kind, state, due_at,
  expires_at, silence, seen_at, taken, most, version, turn, terms, sealed, source, source_nonce,
  reference, tags, metadata, created_at, requests, claim, claimed,
  amount, currency)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20,
  ?21, ?22, ?23, 0, ?24, ?25, ?26, ?27)
