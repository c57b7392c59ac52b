-- Stands in for Citus where the examples of docs/servers.md are run: a table with one shard, which is itself, and commands that
-- go there in a session of their own.
CREATE EXTENSION IF NOT EXISTS albert;
CREATE EXTENSION IF NOT EXISTS dblink;
DROP TABLE IF EXISTS found;
DROP FOREIGN TABLE IF EXISTS docs;
CREATE TABLE docs (id int PRIMARY KEY, body text, embedding real[]);
INSERT INTO docs (id, body) VALUES (1, 'The whale lives in the ocean.'), (2, 'The judge works in a court.');
CREATE TABLE found (id int, class text);

CREATE FUNCTION create_distributed_table(table_name regclass, distribution_column text) RETURNS void LANGUAGE sql AS '';

CREATE FUNCTION run_command_on_shards(table_name regclass, command text)
RETURNS TABLE (shardid bigint, success bool, result text) LANGUAGE sql
BEGIN ATOMIC
	SELECT table_name::oid::bigint, true,
		dblink_exec(format('host=%s dbname=%s user=%s', current_setting('unix_socket_directories'), current_database(), current_user),
			replace(command, '%s', table_name::text));
END;
