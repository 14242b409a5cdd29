-- Not exact when several are made at the same moment: the bound is against thousands.
SELECT count(*) FROM consumer WHERE endpoint = $1
