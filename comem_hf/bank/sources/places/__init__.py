"""Where the pictures of items lie: files with known endings, rows themselves, the web."""
