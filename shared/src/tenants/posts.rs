//! The posts of creators, as imported.

use std::collections::BTreeMap;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::TenantCtx;
use super::lines::ImportRecord;
use crate::contract::ids::CreatorId;
use crate::contract::posts::Post;
use crate::dynamo::{Dynamo, DynamoError, ItemKey, ItemPage, Query, Write};
use crate::environment::{Environment, StartError};

const PREFIX: &str = "POST#";

impl ImportRecord for Post {
    const NEEDED: &'static [&'static str] = &["id", "platform", "publishedAt", "text"];
    const NUMBERS: &'static [&'static str] = &["likes", "comments", "views"];
}

/// A post as stored: apart from the item's keys, because an unknown member of a post is a mistake.
#[derive(Serialize, Deserialize)]
struct StoredPost {
    post: Post,
}

/// The store.
#[derive(Clone)]
pub struct Posts {
    dynamo: Dynamo,
}

/// By time, then by what makes it the same post when it is imported again.
fn sort_key(post: &Post) -> String {
    let name = format!("{:?}|{}", post.platform, &*post.id);
    let digest = digest(&SHA256, name.as_bytes());
    let hash: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{:013}#{hash}", post.published_at.get().0)
}

impl Posts {
    /// Connects to the tables of the stage.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// Stores posts; of two with the same name the later line counts. Returns how many are stored.
    ///
    /// # Errors
    /// [`DynamoError`]: some may be stored; storing them again changes nothing.
    pub async fn import(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
        posts: Vec<Post>,
    ) -> Result<usize, DynamoError> {
        let pk = tenant.pk_of_creator(creator);
        let by_key: BTreeMap<String, Post> = posts.into_iter().map(|post| (sort_key(&post), post)).collect();
        let writes: Vec<Write> = by_key
            .into_iter()
            .map(|(sk, post)| Write::put(ItemKey::tenant(pk.clone(), sk), &StoredPost { post }))
            .collect::<Result<_, _>>()?;
        let count = writes.len();
        self.dynamo.put_all(writes).await?;
        Ok(count)
    }

    /// One page, oldest first.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn page(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
        limit: u32,
        after: Option<String>,
    ) -> Result<ItemPage<Post>, DynamoError> {
        let query = Query::tenant(tenant.pk_of_creator(creator)).beginning(PREFIX).limit(limit).after(after);
        let page = self.dynamo.page::<StoredPost>(&query).await?;
        Ok(ItemPage {
            items: page.items.into_iter().map(|stored| stored.post).collect(),
            last_sk: page.last_sk,
        })
    }

    /// The latest posts, as many as one read holds.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn latest(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
        limit: u32,
    ) -> Result<Vec<Post>, DynamoError> {
        let query =
            Query::tenant(tenant.pk_of_creator(creator)).beginning(PREFIX).limit(limit).newest_first();
        let page = self.dynamo.page::<StoredPost>(&query).await?;
        Ok(page.items.into_iter().map(|stored| stored.post).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::lines::{ImportLines, read};
    use super::*;
    use crate::contract::lines::{LineFormat, Lines};

    fn lines(format: LineFormat, text: &str) -> Result<ImportLines<Post>, String> {
        read(&Lines { format, text: text.to_owned() })
    }

    #[test]
    fn each_wrong_line_is_named_and_the_others_are_read() {
        let good =
            r#"{"id":"a","platform":"instagram","publishedAt":"2026-01-02T03:04:05Z","text":"Hi","likes":3}"#;
        let text = format!("{good}\n\nnonsense\n{{\"id\":\"b\"}}\n{good}");
        let read = lines(LineFormat::JsonLines, &text).unwrap();
        assert_eq!(read.records.len(), 2);
        assert_eq!(read.failed.iter().map(|failed| failed.line).collect::<Vec<_>>(), [3, 4]);
        assert!(read.failed[1].message.contains("platform"), "{:?}", read.failed);
    }

    #[test]
    fn csv_has_the_same_rules_and_tells_of_broken_quotes() {
        let text = "id,platform,publishedAt,text,likes\n\
            a,instagram,2026-01-02T03:04:05Z,\"Hi, you\nthere\",3\n\
            b,myspace,2026-01-02T03:04:05Z,x,\n\
            c,x,2026-01-02T03:04:05Z,x,many\n\
            d,x,2026-01-02T03:04:05Z\n\
            e,x,2026-01-02T03:04:05Z,last,\n";
        let read = lines(LineFormat::Csv, text).unwrap();
        assert_eq!(read.records.iter().map(|post| &*post.id).collect::<Vec<_>>(), ["a", "e"]);
        assert_eq!(&*read.records[0].text, "Hi, you\nthere");
        assert_eq!(read.failed.iter().map(|failed| failed.line).collect::<Vec<_>>(), [4, 5, 6]);
        assert!(read.failed[2].message.contains("3 fields"), "{:?}", read.failed);
        let open =
            lines(LineFormat::Csv, "id,platform,publishedAt,text\na,x,2026-01-02T03:04:05Z,\"never closed\n")
                .unwrap();
        assert_eq!(open.records.len() + open.failed.len(), 1);
        assert!(lines(LineFormat::Csv, "id,text\na,b").unwrap_err().contains("`platform`"));
        assert_eq!(lines(LineFormat::Csv, "id,platform,publishedAt,text\n").unwrap().records.len(), 0);
    }

    #[test]
    fn a_post_keeps_its_place_when_it_is_imported_again() {
        let post = |text: &str| -> Post {
            serde_json::from_value(serde_json::json!({
                "id": "a", "platform": "x", "publishedAt": "2026-01-02T03:04:05Z", "text": text,
            }))
            .unwrap()
        };
        assert_eq!(sort_key(&post("one")), sort_key(&post("two")));
    }
}
