"""Models on the Hub: pushed in one commit, pulled and checked, and described without their weights."""
