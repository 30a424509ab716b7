package standby

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/s3/manager"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/benbjohnson/litestream"
	lss3 "github.com/benbjohnson/litestream/s3"

	"github.com/dormer-project/dormer"
)

// bucket is a target in a bucket of S3 or a server that speaks its protocol;
// it must know If-None-Match.
type bucket struct {
	cfg    TargetConfig
	name   string
	prefix string // ends in a slash, or empty

	mu     sync.Mutex // guards client
	client *s3.Client // made when it is first needed
}

func openBucket(u *url.URL, c TargetConfig) (objects, func(string) litestream.ReplicaClient, error) {
	prefix := strings.Trim(u.Path, "/")
	b := &bucket{cfg: c, name: u.Host}
	if prefix != "" {
		b.prefix = prefix + "/"
	}
	return b, func(folder string) litestream.ReplicaClient {
		r := lss3.NewReplicaClient()
		r.Bucket, r.Path = b.name, path.Join(prefix, folder)
		r.Endpoint, r.ForcePathStyle = c.Endpoint, c.Endpoint != ""
		r.Region = b.region()
		r.AccessKeyID, r.SecretAccessKey = c.AccessKey, c.SecretKey
		return r
	}, nil
}

func (b *bucket) region() string {
	if b.cfg.Region == "" {
		return lss3.DefaultRegion
	}
	return b.cfg.Region
}

func (b *bucket) s3(ctx context.Context) (*s3.Client, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.client != nil {
		return b.client, nil
	}
	options := []func(*config.LoadOptions) error{config.WithRegion(b.region())}
	if b.cfg.AccessKey != "" {
		options = append(options, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(b.cfg.AccessKey, b.cfg.SecretKey, "")))
	}
	c, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, away(err)
	}
	b.client = s3.NewFromConfig(c, func(o *s3.Options) {
		if b.cfg.Endpoint != "" {
			// Not every server knows the checksums that Amazon's has by now.
			o.BaseEndpoint, o.UsePathStyle = aws.String(b.cfg.Endpoint), true
			o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
			o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		}
	})
	return b.client, nil
}

// kindOf gives an answer of S3 the kind that it is of.
func kindOf(err error) error {
	if err == nil {
		return nil
	}
	code := 0
	if e, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
	}](err); ok {
		code = e.HTTPStatusCode()
	}
	name := ""
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		name = e.ErrorCode()
	}
	switch {
	case name == "NoSuchKey" || name == "NotFound":
		return fmt.Errorf("%w: %w", dormer.ErrNotFound, err)
	// 409: another conditional request for the name is under way.
	case code == http.StatusPreconditionFailed || code == http.StatusConflict:
		return fmt.Errorf("%w: %w", dormer.ErrExists, err)
	}
	return away(err)
}

func (b *bucket) Create(ctx context.Context, name string, content []byte) error {
	c, err := b.s3(ctx)
	if err != nil {
		return err
	}
	_, err = c.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.name, Key: aws.String(b.prefix + name), Body: bytes.NewReader(content), IfNoneMatch: aws.String("*"),
	})
	if err != nil {
		return fmt.Errorf("create %s: %w", name, kindOf(err))
	}
	return nil
}

func (b *bucket) Put(ctx context.Context, name string, r io.Reader, size int64) error {
	c, err := b.s3(ctx)
	if err != nil {
		return err
	}
	counted := &counter{r: io.LimitReader(r, size+1)}
	up := manager.NewUploader(c, func(u *manager.Uploader) {
		u.Concurrency = 2 // each part takes memory
		if b.cfg.Endpoint != "" {
			u.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		}
	})
	if _, err := up.Upload(ctx, &s3.PutObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + name), Body: counted}); err != nil {
		return fmt.Errorf("put %s: %w", name, kindOf(err))
	}
	if counted.n != size {
		return errors.Join(dormer.Invalidf("", "content of %s is not %d bytes long", name, size), b.Delete(ctx, name))
	}
	return nil
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (b *bucket) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	c, err := b.s3(ctx)
	if err != nil {
		return nil, err
	}
	out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + name)})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, kindOf(err))
	}
	return out.Body, nil
}

func (b *bucket) List(ctx context.Context, prefix string, each func(name string, size int64) error) error {
	c, err := b.s3(ctx)
	if err != nil {
		return err
	}
	pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{Bucket: &b.name, Prefix: aws.String(b.prefix + prefix)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("list %s: %w", prefix, kindOf(err))
		}
		for _, o := range page.Contents {
			if err := each(strings.TrimPrefix(aws.ToString(o.Key), b.prefix), aws.ToInt64(o.Size)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bucket) Delete(ctx context.Context, name string) error {
	c, err := b.s3(ctx)
	if err != nil {
		return err
	}
	if _, err := c.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: aws.String(b.prefix + name)}); err != nil {
		if err = kindOf(err); !errors.Is(err, dormer.ErrNotFound) {
			return fmt.Errorf("delete %s: %w", name, err)
		}
	}
	return nil
}

func (*bucket) Close() error { return nil }
