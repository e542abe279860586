-- The page lists the newest incidents first; a BRIN index knows ranges, not an order.
CREATE INDEX ON store.incidents (opened DESC, id);
