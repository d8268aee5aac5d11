//! The store of creators' posts, as they were imported.

use std::collections::BTreeMap;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::TenantCtx;
use super::lines::ImportRecord;
use crate::clock::Millis;
use crate::contract::creators::Platform;
use crate::contract::ids::CreatorId;
use crate::contract::posts::Post;
use crate::dynamo::{Dynamo, DynamoError, ItemKey, ItemPage, Query, Write, WriteError};
use crate::environment::{Environment, StartError};
use crate::random;

/// The sort key of the record of imports, in the partition of their creator.
const IMPORTS: &str = "IMPORTS";
/// What the attributes of imports that still run begin with. The rest names the import, the value is when it has ended.
const RUNNING: &str = "i:";
/// The time after which an import has ended, however it ended: longer than any function runs.
const IMPORT_WITHIN: Duration = Duration::from_secs(60);
/// What the sort keys of posts begin with, in the partition of their creator.
const PREFIX: &str = "POST#";

impl ImportRecord for Post {
    const REQUIRED_COLUMNS: &'static [&'static str] = &["id", "platform", "publishedAt", "text"];
    const NUMBER_COLUMNS: &'static [&'static str] = &["likes", "comments", "views"];
}

/// A post as the table stores it. It is nested because the type of a post accepts no unknown members, and the item
/// also has its keys.
#[derive(Serialize, Deserialize)]
struct StoredPost {
    post: Post,
}

/// What is known of the imports of a creator's posts.
#[derive(Debug, Default, Deserialize)]
struct StoredImports {
    /// Changes when an import begins, and again when it ends.
    #[serde(default)]
    version: u64,
    #[serde(flatten)]
    others: BTreeMap<String, serde_json::Value>,
}

impl StoredImports {
    /// The names of the attributes of imports, and until when each of them may run.
    fn running(&self) -> impl Iterator<Item = (&String, Millis)> {
        let running = |(name, until): (&'_ String, &'_ serde_json::Value)| {
            name.starts_with(RUNNING).then(|| Millis(until.as_u64().unwrap_or(0)))
        };
        self.others.iter().filter_map(move |entry| Some((entry.0, running(entry)?)))
    }

    /// The version of the posts; `None` while an import runs, because they change with each of its writes.
    fn version(&self, now: Millis) -> Option<u64> {
        self.running().all(|(_, until)| until < now).then_some(self.version)
    }
}

/// The posts of all creators of all tenants.
#[derive(Clone)]
pub struct Posts {
    dynamo: Dynamo,
}

/// How a platform is spelled in the sort keys of its posts.
///
/// Stored keys depend on these words, so they must never change, whatever the platform is called elsewhere: a post
/// that is imported again would be stored a second time.
const fn key_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Instagram => "Instagram",
        Platform::Tiktok => "Tiktok",
        Platform::Youtube => "Youtube",
        Platform::Threads => "Threads",
        Platform::X => "X",
        Platform::Facebook => "Facebook",
        Platform::Linkedin => "Linkedin",
        Platform::Pinterest => "Pinterest",
    }
}

/// The sort key of a post: its time, for the order, and then a hash of its platform and identifier, so that a post
/// that is imported again replaces itself.
fn sort_key(post: &Post) -> String {
    let name = format!("{}|{}", key_name(post.platform), &*post.id);
    let digest = digest(&SHA256, name.as_bytes());
    let hash: String = digest.as_ref()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{PREFIX}{:013}#{hash}", post.published_at.get().0)
}

fn imports_key(tenant: TenantCtx, creator: CreatorId) -> ItemKey {
    ItemKey::tenant(tenant.pk_of_creator(creator), IMPORTS)
}

/// The error of a write without conditions, which cannot conflict.
fn without_condition(error: WriteError) -> DynamoError {
    match error {
        WriteError::Dynamo(error) => error,
        WriteError::Conflict { .. } => DynamoError::Unavailable { code: "conflict".to_owned() },
    }
}

/// The query of everything that lies in the partition of a creator: posts, and what other stores put beside them.
pub(super) fn of_creator(tenant: TenantCtx, creator: CreatorId) -> Query {
    Query::tenant(tenant.pk_of_creator(creator))
}

impl Posts {
    pub async fn connect(environment: &Environment) -> Result<Self, StartError> {
        Ok(Self { dynamo: environment.dynamo().await? })
    }

    /// Stores posts and returns how many there are. Of two with the same time, platform and identifier, the later
    /// one counts.
    ///
    /// # Errors
    /// [`DynamoError`]; some of the posts may be stored, and importing them again does no harm.
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
        if count > 0 {
            let running = self.begin_import(tenant, creator).await?;
            let written = self.dynamo.put_all(writes).await;
            // Also where some were not written: the others were, and nothing of this import is written after this.
            self.end_import(tenant, creator, running).await?;
            written?;
        }
        Ok(count)
    }

    /// The version of a creator's posts: two calls that give the same version read the same posts. `None` while an import
    /// runs.
    ///
    /// # Errors
    /// [`DynamoError`]
    pub async fn version(&self, tenant: TenantCtx, creator: CreatorId) -> Result<Option<u64>, DynamoError> {
        let imports: Option<StoredImports> = self.dynamo.get(&imports_key(tenant, creator)).await?;
        Ok(imports.unwrap_or_default().version(Millis::now()))
    }

    /// Notes that an import runs. Returns the attribute that says so. Imports that died are forgotten by the way; the
    /// version of what they wrote is the one that they began with.
    async fn begin_import(&self, tenant: TenantCtx, creator: CreatorId) -> Result<String, DynamoError> {
        let (key, now) = (imports_key(tenant, creator), Millis::now());
        let imports: StoredImports = self.dynamo.get(&key).await?.unwrap_or_default();
        let running = format!("{RUNNING}{}", random::token());
        let mut write = Write::update(key).add("version", 1).set(running.clone(), now.plus(IMPORT_WITHIN));
        for (name, _) in imports.running().filter(|(_, until)| *until < now) {
            write = write.remove(name.clone());
        }
        self.dynamo.write(write).await.map_err(without_condition)?;
        Ok(running)
    }

    /// Notes that an import has ended, and with it that the posts have another version.
    async fn end_import(
        &self,
        tenant: TenantCtx,
        creator: CreatorId,
        running: String,
    ) -> Result<(), DynamoError> {
        let write = Write::update(imports_key(tenant, creator)).add("version", 1).remove(running);
        self.dynamo.write(write).await.map_err(without_condition)
    }

    /// One page of a creator's posts, oldest first.
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

    /// The latest posts of a creator, newest first: at most `limit`, and no more than one call of DynamoDB reads.
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
    fn posts_have_no_version_while_an_import_runs_and_the_last_one_after_it_died() {
        let stored =
            serde_json::json!({"PK": "T#x", "SK": IMPORTS, "version": 7, "i:a": 2_000, "i:b": 3_000});
        let imports: StoredImports = serde_json::from_value(stored).unwrap();
        assert_eq!(imports.version(Millis(1_000)), None);
        assert_eq!(imports.version(Millis(2_500)), None, "one of them may still run");
        assert_eq!(imports.version(Millis(3_001)), Some(7));
        assert_eq!(StoredImports::default().version(Millis(1)), Some(0), "nothing was ever imported");
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

    #[test]
    fn the_stored_key_of_a_post_is_the_same_for_ever() {
        let key = |platform: &str| {
            let post = serde_json::json!({
                "id": "a", "platform": platform, "publishedAt": "2026-01-02T03:04:05Z", "text": "Hi",
            });
            sort_key(&serde_json::from_value(post).unwrap())
        };
        for (platform, expected) in [
            ("instagram", "POST#1767323045000#ca4a90188212ba1b"),
            ("tiktok", "POST#1767323045000#e94501f2e9128584"),
            ("youtube", "POST#1767323045000#ae6bd3510d3e7b63"),
            ("threads", "POST#1767323045000#249bcfb0c5ef9b88"),
            ("x", "POST#1767323045000#d166319223158495"),
            ("facebook", "POST#1767323045000#c80ad3f87f2db24d"),
            ("linkedin", "POST#1767323045000#f67ae4d58b4f4353"),
            ("pinterest", "POST#1767323045000#15bac379fb5f520a"),
        ] {
            assert_eq!(key(platform), expected, "{platform}");
        }
    }
}
