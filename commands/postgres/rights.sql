-- The role of a `postgres` connection: it sees every session and ends those of ordinary roles. It is no superuser, and needs
-- no right on any table.
create role keyturn login password 'the value of passwordFrom' connection limit 5;
grant connect on database warehouse to keyturn;
grant pg_monitor, pg_signal_backend to keyturn;

-- Only with `explain: true`: planning reads the definitions of what a query names, so the role needs to see it.
-- grant pg_read_all_data to keyturn;

-- On RDS run this as the master user (rds_superuser). Sessions of rdsadmin cannot be ended by anybody.
-- Before Postgres 10 there is no pg_monitor: such servers are not supported.
