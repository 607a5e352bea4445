"""Objects in S3, and in what speaks its protocol: bundles and datasets as folders, pointers to them, logs of records.

boto3 is imported once something is asked of S3, not before: the extra ``storage`` brings it.
"""
