# Ends the server in $1 and removes the directory as soon as its owner is gone, however that ended.
# The owner is the process $2 or, where that is empty, whoever holds the other end of the standard
# input, which the system closes with that process. The rest is how pg_ctl is run.
directory=$1 owner=$2
shift 2
if [ -n "$owner" ]; then
  while [ -e "/proc/$owner" ]; do sleep 1; done
else
  read -r _
fi
# What a test made stand still has to hear that it shall stop.
if read -r server 2>/dev/null <"$directory/data/postmaster.pid"; then
  kill -CONT "$server" $(cat "/proc/$server/task/$server/children") 2>/dev/null
fi
cd "$directory" && "$@" stop --silent --mode fast --pgdata data
cd / && rm -rf "$directory"
