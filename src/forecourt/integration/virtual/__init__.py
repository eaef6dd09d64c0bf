"""Virtual tables: data entities shown as Dataverse tables, read and written live as the mapped operations user."""
