"""Pages without code: the Voila server of the dashboards and its template."""
