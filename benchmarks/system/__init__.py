"""The whole service under live sessions that send features and watch frames: how many, and what if more come."""
