-- The user of a `redshift` connection, for the wire and for the Data API. Of rights.json beside this file only those statements
-- are needed whose name fits: with or without secretArn, a cluster or a workgroup, with reboot or not.
create user keyturn password 'the value of passwordFrom';

-- To see loads, errors and sessions of others (SYS, SVV, STL and STV); without it the user sees its own alone.
grant role sys:monitor to keyturn;

-- To alter the tables under `loads` and to load into them.
grant usage on schema events to keyturn;
grant select, insert on table events.clicks to keyturn;
alter table events.clicks owner to keyturn;  -- or: grant alter on table events.clicks to keyturn;

-- COPY takes on the role of the load; it must be attached to the cluster or namespace.
grant assumerole on 'arn:aws:iam::123456789012:role/redshift-load' to keyturn for copy;

-- With `external`: grant usage on schema spectrum to keyturn;

-- redshift.terminate-sessions: PG_TERMINATE_BACKEND ends the sessions of others for a superuser only. sys:operator cancels
-- queries, which frees no lock of a session that is idle in its transaction. A superuser also sees who committed
-- (sys_transaction_history). Give it only where that is wanted, on a connection of its own:
-- alter user keyturn createuser;

-- Serverless without secretArn: the Data API logs in as "IAMR:keyturn" (of the role) and not as this user.
-- grant role sys:monitor to "IAMR:keyturn";  and the rights on the tables as above.
