"""Items of single files: tables, tar files of webdataset, and TSV files of WIT."""
