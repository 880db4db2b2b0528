#!/bin/sh
# The pure archives know no socket, file, thread or clock, and have no writable global: what the simulator drives is
# what the daemons run. The archives: $PURE_ARCHIVES.
NM=${NM:-nm}
forbidden='^(socket|connect|accept4?|bind|listen|send|recv|sendto|recvfrom|read|write|pread|pwrite|readv|writev|open|openat|close|fopen|fdopen|fsync|fdatasync|rename|unlink|mmap|poll|select|epoll_.*|time|gettimeofday|clock_gettime|nanosleep|sleep|usleep|rand|random|srand|getrandom|rand_r|pthread_.*|event_.*|evtimer_.*|mdb_.*|loop_.*|conn_.*|log_line|getenv|fork|system)$'
status=0
for archive in $PURE_ARCHIVES; do
    [ -f "$archive" ] || { echo "check_pure: no $archive"; exit 1; }
    found=$($NM -u "$archive" | awk '{ print $2 }' | sed 's/@.*//' | sort -u | grep -E "$forbidden")
    if [ -n "$found" ]; then
        echo "$archive uses what pure code must not:" $found
        status=1
    fi
    # Constants that hold addresses lie in .data.rel.ro, which is read-only once the program runs.
    globals=$($NM --format=sysv "$archive" | awk -F'|' '
        { gsub(/ /, "", $1); gsub(/[[:space:]]/, "", $7) }
        ($7 ~ /^\.(data|bss|tdata|tbss)/ || $7 == "*COM*") && $7 !~ /^\.data\.rel\.ro/ &&
        $4 ~ /OBJECT|TLS/ && $1 !~ /^(__|\.|_GLOBAL_)/ { print $1 }' | sort -u)
    if [ -n "$globals" ]; then
        echo "$archive has writable globals:" $globals
        status=1
    fi
done
exit $status
