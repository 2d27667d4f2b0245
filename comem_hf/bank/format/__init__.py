"""What lies in a bank's folder, file by file, and how it is read and written."""
