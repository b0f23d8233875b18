// Copyright (c) 2026 accelmon.fleet contributors
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// An S3 server for tests: one bucket in memory, for who signs with the key. cache.py builds it from the module gofakes3.
//
//	s3 ADDRESS:PORT BUCKET    the key is in S3_ACCESS_KEY and S3_SECRET_KEY
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/rclone/gofakes3"
	"github.com/rclone/gofakes3/s3mem"
)

// storage reads an empty delimiter as none, as Amazon does. rclone 1.60 asks for whole trees that way.
type storage struct{ *s3mem.Backend }

func (s storage) ListBucket(ctx context.Context, name string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	if prefix != nil && prefix.Delimiter == "" {
		prefix.HasDelimiter = false
	}
	return s.Backend.ListBucket(ctx, name, prefix, page)
}

func main() {
	objects := storage{s3mem.New()}
	if err := objects.CreateBucket(context.Background(), os.Args[2]); err != nil {
		log.Fatal(err)
	}
	keys := map[string]string{os.Getenv("S3_ACCESS_KEY"): os.Getenv("S3_SECRET_KEY")}
	log.Fatal(http.ListenAndServe(os.Args[1], gofakes3.New(objects, gofakes3.WithV4Auth(keys)).Server()))
}
