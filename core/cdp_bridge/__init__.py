"""CDP Bridge keeps the segments of a customer data platform and the audiences of ad platforms equal."""
