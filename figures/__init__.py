"""What people look at: results and theory made into pictures, tables and a report."""
