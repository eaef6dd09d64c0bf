"""What a database is made of, to be compared before and after: by plain SQL, around everything that is tested."""

#: Everything that a database is made of beside its rows, and who may do what with it.
CATALOG = """
select 'schema', nspname, coalesce(nspacl::text, '') from pg_namespace n
where nspname not like 'pg\\_%' and nspname <> 'information_schema'
union all select 'relation ' || c.relkind::text, n.nspname || '.' || c.relname,
    coalesce(c.relacl::text, '') || c.relrowsecurity::text || c.relreplident::text || coalesce(c.reloptions::text, '')
from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname not like 'pg\\_%'
union all select 'column', a.attrelid::regclass::text || '.' || a.attname,
    format_type(a.atttypid, a.atttypmod) || a.attnotnull::text || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attnum > 0 and not a.attisdropped and n.nspname not like 'pg\\_%'
union all select 'trigger', tgrelid::regclass::text || '.' || tgname, pg_get_triggerdef(oid) || tgenabled::text
from pg_trigger
union all select 'function', p.oid::regprocedure::text, prosrc || coalesce(p.proacl::text, '')
from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname not like 'pg\\_%'
union all select 'constraint', conrelid::regclass::text || '.' || conname, pg_get_constraintdef(oid)
from pg_constraint where conrelid <> 0
union all select 'type', typnamespace::regnamespace::text || '.' || typname, coalesce(typacl::text, '') from pg_type
union all select 'columns', a.attrelid::regclass::text || '.' || a.attname, a.attacl::text
from pg_attribute a where a.attacl is not null
union all select 'policy', polrelid::regclass::text || '.' || polname, '' from pg_policy
union all select 'publication', pubname, '' from pg_publication
union all select 'slot', slot_name, '' from pg_replication_slots where database = current_database()
union all select 'event trigger', evtname, '' from pg_event_trigger
union all select 'role setting', setrole::text, setconfig::text from pg_db_role_setting
    where setdatabase = (select oid from pg_database where datname = current_database())
union all select 'prepared', gid, '' from pg_prepared_xacts where database = current_database()
order by 1, 2, 3
"""
