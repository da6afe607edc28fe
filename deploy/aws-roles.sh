#!/bin/sh
# Once for an AWS account: the roles of cluster.yaml. The head starts workers, and both use a bucket:
#   sh deploy/aws-roles.sh BUCKET
set -eu
bucket=$1

statement() {
    printf '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", %s}]}' "$1"
}

for name in thaw-head thaw-worker; do
    aws iam create-role --role-name $name --assume-role-policy-document \
        "$(statement '"Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}')"
    aws iam put-role-policy --role-name $name --policy-name list --policy-document \
        "$(statement "\"Action\": \"s3:ListBucket\", \"Resource\": \"arn:aws:s3:::$bucket\"")"
    aws iam put-role-policy --role-name $name --policy-name files --policy-document \
        "$(statement "\"Action\": [\"s3:GetObject\", \"s3:PutObject\", \"s3:DeleteObject\"], \"Resource\": \"arn:aws:s3:::$bucket/*\"")"
    aws iam create-instance-profile --instance-profile-name $name
    aws iam add-role-to-instance-profile --instance-profile-name $name --role-name $name
done

aws iam attach-role-policy --role-name thaw-head --policy-arn arn:aws:iam::aws:policy/AmazonEC2FullAccess
aws iam put-role-policy --role-name thaw-head --policy-name workers --policy-document \
    "$(statement '"Action": "iam:PassRole", "Resource": "arn:aws:iam::*:role/thaw-worker"')"
