"""The claims of the ledger, each as a simulation that can turn it down."""
