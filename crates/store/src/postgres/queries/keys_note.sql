UPDATE node SET last_key = greatest(last_key, $1) WHERE epoch = $2
