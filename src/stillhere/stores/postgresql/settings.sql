-- Units: as each setting's own. For every connection that statements go through.
SELECT
    -- What was answered is durable, whatever the server's default says; a stronger setting stays.
    set_config(
        'synchronous_commit',
        CASE WHEN current_setting('synchronous_commit') = 'remote_apply' THEN 'remote_apply' ELSE 'on' END,
        false
    ),
    -- Nothing waits longer than this: not for a lock, not for a disk.
    set_config('statement_timeout', '4s', false),
    -- Somebody who holds one session does not hold up everybody's for long. Longer than deadlock_timeout usually is (1 s), so that
    -- a deadlock is found out, and tried again.
    set_config('lock_timeout', '1200ms', false),
    -- Plans are made once, perhaps while the tables are empty, and must serve full ones: always through an index, row by row.
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('enable_seqscan', 'off', false),
    set_config('enable_bitmapscan', 'off', false),
    set_config('enable_hashjoin', 'off', false),
    set_config('enable_mergejoin', 'off', false),
    set_config('jit', 'off', false);
