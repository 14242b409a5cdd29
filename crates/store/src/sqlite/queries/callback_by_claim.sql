SELECT key, nonce, environment, application, application_nonce, kind, state, expires_at, silence, seen_at,
       taken, most, failed, answer, version, turn, terms, sealed, source, source_nonce, reference, tags,
       metadata, created_at, settled_at, settled_by, settled_nonce, requests, amount, currency,
       claimed
FROM callback WHERE application = ?1 AND claim = ?2
